@echo off
rem nightly.bat - the procedure of the white paper, from one end to the other
setlocal
call "%~dp0ess.bat"
set LOG=%ESSLOG%\nightly.log
rsList2105s
rsPrimeServer %ESS% >> "%LOG%"
if errorlevel 1 goto failed
rsExecuteTask --wait %ESS% NIGHTLY >> "%LOG%" 2>&1
if errorlevel 1 goto failed
rsQueryComplete %ESS% NIGHTLY || goto failed
rsFlashCopyQuery %ESS% 20413698 | find "complete" >nul
if errorlevel 1 goto failed
for %%v in (20313698 20413698) do rsQuery %ESS% %%v >> "%LOG%" || goto failed
find "20413698" < "%LOG%" >nul && echo logged
esscli %ESS% delete relationship 20313698:20413698 -q
exit /b %ERRORLEVEL%
:failed
echo failed, see %LOG%
type "%LOG%"
exit /b 1
