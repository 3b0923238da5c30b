package arrayclient

import "sync"

// OnClose returns v, which calls after once it has been closed, and no second time.
func OnClose(v VolumeIO, after func()) VolumeIO { return &onClose{v, sync.OnceFunc(after)} }

type onClose struct {
	VolumeIO
	after func()
}

func (v *onClose) Close() error {
	defer v.after()
	return v.VolumeIO.Close()
}
