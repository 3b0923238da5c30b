@echo off
rem luns.bat - the state of every ESS volume of this server
call "%~dp0ess.bat"
for /f "skip=2 tokens=1,2" %%a in ('rsList2105s') do (
    echo %%a is %%b
    rsQuery -s %SERVER% -u %U% -p %P% %%b
)
rsFlashCopyQuery -s %SERVER% -u %U% -p %P% > "%TEMP%\luns.txt" || echo luns: no relationships to be had
type "%TEMP%\luns.txt"
