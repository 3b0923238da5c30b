@"%~dp0@NAME@.exe" %*
