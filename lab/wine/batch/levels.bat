@echo off
rem levels.bat TASK [SERVER] - runs a task and tells the operator what to do
rem "if errorlevel N" is true for N and above, so the highest comes first
setlocal
call "%~dp0ess.bat"
if not "%2"=="" set SERVER=%2
rsExecuteTask -s %SERVER% -u %U% -p %P% -q %1 2>nul
if errorlevel 12 goto other
if errorlevel 11 goto busy
if errorlevel 10 goto notask
if errorlevel 7 goto other
if errorlevel 6 goto refused
if errorlevel 4 goto other
if errorlevel 3 goto noserver
if errorlevel 1 goto other
echo %1: done
exit /b 0
:busy
echo %1: try again later
exit /b 11
:notask
echo %1: ask the storage team
exit /b 10
:refused
echo %1: the array refuses
exit /b 6
:noserver
echo %1: look after the server
exit /b 3
:other
echo %1: call the storage team
exit /b 1
