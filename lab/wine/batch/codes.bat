@echo off
rem codes.bat - what the commands end with, for the operators' handbook
setlocal
call "%~dp0ess.bat"
rsTestConnection %ESS% >nul
echo connection %ERRORLEVEL%
rsList2105s >nul
echo list %ERRORLEVEL%
rsQuery %ESS% 20313698 >nul
echo query %ERRORLEVEL%
rsFlashCopyQuery %ESS% >nul
echo relationships %ERRORLEVEL%
rsQuery %ESS% FFF13698 >nul 2>nul
echo no such volume %ERRORLEVEL%
rsExecuteTask %ESS% NONE >nul 2>nul
echo no such task %ERRORLEVEL%
rsExecuteTask %ESS% --no-such-flag NIGHTLY >nul 2>nul
echo no such flag %ERRORLEVEL%
rsExecuteTask -s 127.0.0.1:1 -u %U% -p %P% NIGHTLY >nul 2>nul
echo no such server %ERRORLEVEL%
rsExecuteTask -s %SERVER% -u %U% -p wrong NIGHTLY >nul 2>nul
echo no such password %ERRORLEVEL%
rsExecuteTask %ESS% SNAPSHOT >nul
echo snapshot %ERRORLEVEL%
rsExecuteTask %ESS% SNAPSHOT >nul 2>nul
echo snapshot again %ERRORLEVEL%
rsQueryComplete %ESS% SNAPSHOT >nul 2>nul
echo no background copy %ERRORLEVEL%
esscli %ESS% delete relationship 20713698:20813698 >nul 2>nul
echo withdrawn %ERRORLEVEL%
setdevice %ESS% rmess 10.9.9.9 >nul 2>nul
echo no such array %ERRORLEVEL%
setuser %ESS% lsuser >nul
echo users %ERRORLEVEL%
rsQuery %ESS% --log eventlog 20313698 >nul
echo event log %ERRORLEVEL%
rsQuery -? >nul
echo help %ERRORLEVEL%
