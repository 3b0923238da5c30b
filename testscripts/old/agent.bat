@echo off
rem agent.bat - users and arrays of the CIM agent, from a file and one by one
call "%~dp0ess.bat"
cd /d "%~dp0"
setuser -s %SERVER% -u superuser -p %P% < users.txt
if %ERRORLEVEL% NEQ 0 exit /b %ERRORLEVEL%
setdevice -s %SERVER% -u %U% -p %P% addess %1 admin adminpw
setdevice -s %SERVER% -u %U% -p %P% addessserver %1 admin adminpw
setdevice -s %SERVER% -u %U% -p %P% lsess | find "%1"
