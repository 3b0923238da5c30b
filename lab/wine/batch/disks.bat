@echo off
rem disks.bat - which disk of this server is which volume, and is it in use
setlocal
call "%~dp0ess.bat"
set COUNT=0
for /f "skip=2 tokens=1,2" %%a in ('rsList2105s') do call :one %%a %%b
echo %COUNT% disks
for /f "tokens=1,2" %%a in ('rsList2105s ^| find "20413698"') do echo the target is %%a
goto :eof
:one
set /a COUNT=COUNT+1
rsQuery %ESS% %2 2>nul | find "%2" >nul
if errorlevel 1 (echo %1 is %2, which the server does not know) else (echo %1 is %2)
goto :eof
