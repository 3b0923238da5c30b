@echo off
rem blanks.bat - everything has blanks in its name here
setlocal
call "%~dp0ess.bat"
cd /d "%TEMP%"
set CLI=%ProgramFiles%\IBM ESS CLI
set CONNECT=-s %SERVER% -u %U% --password-file "%~dp0my password.txt"
md "Log Files"
"%CLI%\rsExecuteTask" %CONNECT% "my task" --log "Log Files\copy log.txt" > "Log Files\output.txt" 2>&1
if errorlevel 1 goto failed
"%CLI%\rsQueryComplete.exe" %CONNECT% "my task"
type "Log Files\output.txt"
find "my task" < "Log Files\copy log.txt" >nul && echo logged
"%CLI%\esscli" %CONNECT% import volume 20513698 "%~dp0disk image.img"
call "%CLI%\rsExecuteTask" %CONNECT% --wait "my task"
"%CLI%\esscli" %CONNECT% export volume 20613698 "%~dp0the copy.img"
"%CLI%\rsQuery" -s %SERVER% -u %U% --password-command "echo %P%" 20513698 >nul
echo %ERRORLEVEL%
"%CLI%\rsQuery" -s %SERVER% -u %U% --password-file "%~dp0no password.txt" 20513698 2>nul
echo %ERRORLEVEL%
exit /b 0
:failed
type "Log Files\output.txt"
exit /b 1
