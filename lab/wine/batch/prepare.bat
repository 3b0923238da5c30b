@echo off
rem prepare.bat - volumes and tasks for the copies of this server.  mk 11/2004
call "%~dp0ess.bat"
esscli %ESS% create volume --size 1MiB --count 6 --first 203
if %ERRORLEVEL% NEQ 0 exit /b %ERRORLEVEL%
rsPrimeServer %ESS% || exit /b 1
esscli %ESS% create task NIGHTLY --source %COMPUTERNAME%:Disk1 --target %COMPUTERNAME%:Disk2 --persist
esscli %ESS% create task "my task" --pair 20513698:20613698
esscli %ESS% create task SNAPSHOT --pair 20713698:20813698 --nocopy
esscli %ESS% create task NIGHTLY --pair 20313698:20413698
echo the same task again: %ERRORLEVEL%
esscli %ESS% show task "my task" > "%TEMP%\task.yaml"
esscli %ESS% apply -f "%TEMP%\task.yaml" || echo cannot apply
esscli %ESS% list volume | find "20813698" >nul && echo 20813698 is there
