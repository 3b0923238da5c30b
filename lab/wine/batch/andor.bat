@echo off
rem andor.bat - short forms that people use on the command line
call "%~dp0ess.bat"
rsTestConnection %ESS% >nul && echo up || echo down
rsTestConnection -s 127.0.0.1:1 -u %U% -p %P% >nul 2>nul && echo up || echo down
rsQuery %ESS% FFF13698 >nul 2>nul || echo no volume FFF13698
rsQuery %ESS% FFF13698 >nul 2>nul && echo there should be no volume FFF13698
rsQuery %ESS% 20313698 >nul || echo there should be a volume 20313698
rsQuery %ESS% FFF13698 >nul 2>nul || rsQuery %ESS% 20313698 >nul && echo one of two
rsExecuteTask %ESS% -q "my task" && rsQueryComplete %ESS% -q "my task" && echo my task is complete
(rsExecuteTask %ESS% -q NONE NIGHTLY 2>nul && echo not reached) || (echo stopped at the first & exit /b 10)
echo not reached
