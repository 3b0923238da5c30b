package userfile

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: who may do what is up to the folder.
func keepOwner(*os.File, fs.FileInfo) {}
