@echo off
rem prime.bat - startup script of the group policy
call "%~dp0ess.bat"
rsTestConnection -s %SERVER% -u %U% -p %P% >nul 2>&1 && rsPrimeServer -s %SERVER% -u %U% -p %P% && goto done
echo prime: error %ERRORLEVEL%
exit /b 1
:done
echo prime: ok
