@echo off
rem config.bat - the settings of all users and of this one, instead of flags
setlocal
call "%~dp0ess.bat"
set ALL=%ProgramData%\rscli\config.yaml
set MINE=%APPDATA%\rscli\config.yaml
md "%ProgramData%\rscli"
md "%APPDATA%\rscli" 2>nul
echo # for all users of this server> "%ALL%"
echo server: %SERVER%>> "%ALL%"
echo user: nobody>> "%ALL%"
rsQuery 20313698 >nul 2>nul
echo no password: %ERRORLEVEL%
echo user: %U%> "%MINE%"
echo password_file: %~dp0my password.txt>> "%MINE%"
rsQuery 20313698 >nul
echo both: %ERRORLEVEL%
rsQuery -u nobody 20313698 >nul 2>nul
echo a flag is stronger: %ERRORLEVEL%
set RSCLI_SERVER=127.0.0.1:1
rsQuery 20313698 >nul 2>nul
echo the environment is stronger: %ERRORLEVEL%
set RSCLI_SERVER=
echo password: %P%>> "%ALL%"
rsQuery 20313698 >nul 2>nul
echo a password for all to read: %ERRORLEVEL%
echo sever: %SERVER%> "%MINE%"
rsQuery 20313698 >nul 2>nul
echo a mistake: %ERRORLEVEL%
del "%ALL%" "%MINE%"
