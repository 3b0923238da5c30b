@echo off
rem backup.bat - FlashCopy of the Exchange volumes, then mount on the backup host
rem Scheduled with AT.  rh 05/2003
setlocal
call "%~dp0ess.bat"
set TASK=%1
if "%TASK%"=="" goto usage
set LOG=%ESSLOG%\backup.log

echo ---- %TASK% >> "%LOG%"
call rsExecuteTask -s %SERVER% -u %U% -p %P% %TASK% >> "%LOG%" 2>&1
if errorlevel 11 goto busy
if errorlevel 10 goto notask
if errorlevel 4 goto failed
if errorlevel 3 goto noserver
if errorlevel 1 goto failed

call rsQueryComplete -s %SERVER% -u %U% -p %P% %TASK% >> "%LOG%" 2>&1
if not %ERRORLEVEL%==0 goto failed
echo backup: %TASK% copied
goto end

:busy
echo backup: %TASK% is running already
exit /b 11
:notask
echo backup: there is no task %TASK%
exit /b 10
:noserver
echo backup: %SERVER% does not answer
exit /b 3
:usage
echo usage: backup TASK
exit /b 1
:failed
echo backup: %TASK% failed, see %LOG%
exit /b 1
:end
endlocal
