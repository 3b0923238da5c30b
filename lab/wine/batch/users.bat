@echo off
rem users.bat - users and arrays from files that were written with Notepad
call "%~dp0ess.bat"
cd /d "%~dp0"
setuser %ESS% < users.txt
echo %ERRORLEVEL%
setdevice %ESS% < "my arrays.txt"
echo %ERRORLEVEL%
echo lsuser| setuser %ESS% | find "cimuser" >nul && echo cimuser is there
echo rmuser nobody| setuser %ESS%
echo %ERRORLEVEL%
setuser %ESS% rmuser cimuser
setdevice %ESS% rmess 10.0.0.7
