@echo off
rem login.bat - the password is typed once and stored for this user
call "%~dp0ess.bat"
esscli login -s %SERVER% -u %U% --password-file "%~dp0my password.txt" >nul || echo cannot log in
if exist "%APPDATA%\rscli\logins.yaml" echo stored
rsQuery 20313698 >nul && echo used
esscli logout -s %SERVER% >nul
rsQuery 20313698 >nul 2>nul || echo forgotten
if exist "%APPDATA%\rscli\known_servers" echo the server is known
exit /b 0
