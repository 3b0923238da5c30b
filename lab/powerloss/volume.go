package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// volume is a volume of the array under test, and the hosts that use it.
type volume struct {
	id     uint32
	serial arrayclient.Serial

	// admin is held by whoever acts on the volume as a whole, and that of every
	// other volume of the act.
	admin sync.Mutex
	// quiet is held for reading by hosts during a request, and for writing by an
	// act that must not have any on their way. It guards life.
	quiet sync.RWMutex
	life  *life

	mu    sync.Mutex
	conns map[*attachment]*server // of the hosts
}

func newVolume(id uint32) *volume {
	return &volume{
		id: id, serial: arrayclient.MakeSerial(uint16(id), arraySerial),
		conns: map[*attachment]*server{},
	}
}

// attach returns a host's connection to the volume at the server: the one that
// it had, unless it has been cut since.
func (v *volume) attach(had *attachment, s *server) (*attachment, error) {
	v.mu.Lock()
	of, ok := v.conns[had]
	v.mu.Unlock()
	if ok && of == s {
		return had, nil
	}
	if ok {
		v.detach(had)
	}
	a, err := attach(s.nbd, string(v.serial))
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	v.conns[a] = s
	v.mu.Unlock()
	return a, nil
}

func (v *volume) detach(a *attachment) {
	v.mu.Lock()
	delete(v.conns, a)
	v.mu.Unlock()
	a.close()
}

// detachAll cuts all connections; no request is on its way.
func (v *volume) detachAll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for a := range v.conns {
		a.close()
		delete(v.conns, a)
	}
}

// create makes the volume and notes when.
func (d *drive) create(ctx context.Context, s *server, v *volume) error {
	from := d.device.log.position()
	_, err := s.client.CreateVolumes(ctx, api.VolumeCreate{
		Size: d.volumeSize(), First: string(v.serial)[:3],
	})
	if err != nil {
		return err
	}
	created := act{name: "create", from: from, to: d.device.log.position()}
	v.life = newLife(v.id, int(d.volumeSize()/pageSize), created)
	d.note(v.life)
	return nil
}

// recreate deletes the volume and makes it anew. Its admin is held. A volume
// that is in a relationship stays.
func (d *drive) recreate(ctx context.Context, s *server, v *volume) error {
	v.quiet.Lock()
	defer v.quiet.Unlock()
	v.detachAll()
	from := d.device.log.position()
	var err error
	for range 40 { // the server takes a moment to see that hosts are gone
		if err = s.client.DeleteVolume(ctx, v.serial); fault.KindOf(err) != fault.Refused {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if fault.KindOf(err) == fault.Refused && err != nil {
		return errRefused
	}
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	v.life.erased = act{name: "delete", from: from, to: d.device.log.position()}
	return d.create(ctx, s, v)
}

// errRefused says that the array did not do what was asked, and changed nothing.
var errRefused = errors.New("refused")
