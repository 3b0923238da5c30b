package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
	"copyservices/taskstore/filestore"
)

var (
	cheap    = Cost{Memory: 64, Time: 1, Threads: 1}
	loopback = netip.MustParseAddr("127.0.0.1")
	remote   = netip.MustParseAddr("192.0.2.7")
	other    = netip.MustParseAddr("192.0.2.8")
)

// newAuth returns an Authenticator that knows the default user and "op" with
// the password "secret".
func newAuth(t *testing.T, cost Cost) (*Authenticator, taskstore.Collection[taskstore.User]) {
	t.Helper()
	store, err := filestore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := New(store.Users(), cost)
	first, err := a.FirstUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	op := taskstore.User{Name: "op", Role: taskstore.RoleOperator}
	err = errors.Join(a.SetPassword(t.Context(), &op, "secret"),
		store.Users().Create(first), store.Users().Create(op))
	if err != nil {
		t.Fatal(err)
	}
	return a, store.Users()
}

func login(t *testing.T, a *Authenticator, name, password string, from netip.Addr) error {
	t.Helper()
	_, err := a.Login(t.Context(), name, password, from)
	return err
}

func TestLogin(t *testing.T) {
	a, _ := newAuth(t, cheap)
	user, err := a.Login(t.Context(), "OP", "secret", remote)
	if err != nil || user.Name != "op" || user.Role != taskstore.RoleOperator {
		t.Errorf("right password: %+v, %v", user, err)
	}
	wrong := login(t, a, "op", "Secret", remote)
	unknown := login(t, a, "nobody", "secret", remote)
	if fault.KindOf(wrong) != fault.Denied || fault.KindOf(unknown) != fault.Denied {
		t.Errorf("wrong: %v, unknown: %v", wrong, unknown)
	}
	if wrong.Error() != unknown.Error() || fault.HintOf(wrong) == "" {
		t.Errorf("they differ or give no hint: %v, %v", wrong, unknown)
	}
	if err := login(t, a, "op", strings.Repeat("x", MaxPassword+1), remote); err == nil {
		t.Error("endless password taken")
	}
}

func TestDefaultPasswordFromLoopbackOnly(t *testing.T) {
	a, users := newAuth(t, cheap)
	mapped := netip.MustParseAddr("::ffff:127.0.0.1")
	for range 2 { // hashed, then remembered
		for _, from := range []netip.Addr{loopback, mapped, netip.IPv6Loopback()} {
			if err := login(t, a, DefaultUser, DefaultPassword, from); err != nil {
				t.Errorf("from %s: %v", from, err)
			}
		}
		err := login(t, a, DefaultUser, DefaultPassword, remote)
		if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "default password") {
			t.Errorf("from elsewhere: %v", err)
		}
	}
	user, _ := users.Get(DefaultUser)
	if err := errors.Join(a.SetPassword(t.Context(), &user, "new"), users.Put(user)); err != nil {
		t.Fatal(err)
	}
	if err := login(t, a, DefaultUser, "new", remote); err != nil {
		t.Errorf("changed password from elsewhere: %v", err)
	}
	if err := login(t, a, DefaultUser, DefaultPassword, loopback); err == nil {
		t.Error("the default password outlived its change")
	}
}

func TestDefaultPasswordIsNotSetAgain(t *testing.T) {
	a, _ := newAuth(t, cheap)
	user := taskstore.User{Name: "SuperUser"}
	err := a.SetPassword(t.Context(), &user, DefaultPassword)
	if fault.KindOf(err) != fault.Usage || user.Hash != "" || fault.HintOf(err) == "" {
		t.Errorf("%v, user %+v", err, user)
	}
	other := taskstore.User{Name: "cimuser"}
	if err := a.SetPassword(t.Context(), &other, DefaultPassword); err != nil || other.DefaultPassword {
		t.Errorf("cimuser: %v, user %+v", err, other)
	}
}

func TestPasswordsThatCannotBe(t *testing.T) {
	a, _ := newAuth(t, cheap)
	for _, password := range []string{"", strings.Repeat("x", MaxPassword+1)} {
		err := a.SetPassword(t.Context(), &taskstore.User{Name: "u"}, password)
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("%d bytes: %v", len(password), err)
		}
	}
}

// TestGoodPasswordIsRemembered breaks the stored hash behind the memory's
// back: whoever still gets in did not pay for a hash.
func TestGoodPasswordIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, users := newAuth(t, cheap)
		user, _ := users.Get("op")
		if a.good.has(user, "secret") {
			t.Error("remembered before the first login")
		}
		if err := login(t, a, "op", "secret", remote); err != nil {
			t.Fatal(err)
		}
		if !a.good.has(user, "secret") || a.good.has(user, "secret2") {
			t.Error("the good password is not what is remembered")
		}
		time.Sleep(goodFor - time.Second)
		if !a.good.has(user, "secret") {
			t.Error("forgotten early")
		}
		time.Sleep(2 * time.Second)
		if a.good.has(user, "secret") {
			t.Error("remembered too long")
		}
	})
}

func TestMemoryDiesWithThePassword(t *testing.T) {
	a, users := newAuth(t, cheap)
	if err := login(t, a, "op", "secret", remote); err != nil {
		t.Fatal(err)
	}
	user, _ := users.Get("op")
	if err := errors.Join(a.SetPassword(t.Context(), &user, "new"), users.Put(user)); err != nil {
		t.Fatal(err)
	}
	if err := login(t, a, "op", "secret", remote); fault.KindOf(err) != fault.Denied {
		t.Errorf("old password after the change: %v", err)
	}
	if err := login(t, a, "op", "new", remote); err != nil {
		t.Errorf("new password: %v", err)
	}
	a.Forget("OP")
	if a.good.has(user, "new") {
		t.Error("remembered after Forget")
	}
}

// elapsed is how long one login takes in the bubble's time, in which hashing
// takes none.
func elapsed(t *testing.T, a *Authenticator, name, password string, from netip.Addr) time.Duration {
	start := time.Now()
	_ = login(t, a, name, password, from)
	return time.Since(start)
}

func TestSlowDownByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAuth(t, cheap)
		var waits []time.Duration
		for i := range 12 {
			waits = append(waits, elapsed(t, a, fmt.Sprint("user", i), "x", remote))
		}
		if waits[freeByAddress] != 0 || waits[freeByAddress+1] != delayByAddress {
			t.Errorf("the delay begins wrongly: %v", waits)
		}
		if last := waits[len(waits)-1]; last != mostByAddress {
			t.Errorf("the delay ends at %v, want %v", last, mostByAddress)
		}
		if d := elapsed(t, a, "op", "secret", other); d != 0 {
			t.Errorf("another address waits %v", d)
		}
		if d := elapsed(t, a, "op", "secret", remote); d != 0 {
			t.Errorf("a remembered password waits %v", d)
		}
		time.Sleep(forgetAfter)
		if d := elapsed(t, a, "user1", "x", remote); d != 0 {
			t.Errorf("%v after everything should be forgotten", d)
		}
	})
}

func TestSlowDownByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAuth(t, cheap)
		for i := range 40 {
			from := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
			_ = login(t, a, "op", "x", from)
		}
		if d := elapsed(t, a, "OP", "secret", remote); d != mostByUser {
			t.Errorf("the user's own login waits %v, want %v", d, mostByUser)
		}
		if d := elapsed(t, a, DefaultUser, DefaultPassword, loopback); d != 0 {
			t.Errorf("another user waits %v", d)
		}
	})
}

// TestFloodIsTurnedAway: tries that come at once do not share one delay.
func TestFloodIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAuth(t, cheap)
		var mu sync.Mutex
		var turnedAway, tried int
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				err := login(t, a, "op", "x", remote)
				var tooMany *TooMany
				mu.Lock()
				defer mu.Unlock()
				if errors.As(err, &tooMany) && tooMany.RetryAfter > 0 &&
					fault.KindOf(err) == fault.Denied {
					turnedAway++
				} else {
					tried++
				}
			})
		}
		wg.Wait()
		// All came before the first failure was known.
		if tried > freeByAddress+a.hasher.slots+6 || turnedAway+tried != 50 {
			t.Errorf("%d tried, %d turned away", tried, turnedAway)
		}
	})
}

func TestWaitEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAuth(t, cheap)
		for range 8 {
			_ = login(t, a, "op", "x", remote)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := a.Login(ctx, "op", "secret", remote); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestTrackedIsBounded(t *testing.T) {
	s := newSlowdown()
	for i := range maxTracked + 100 {
		s.failed(fmt.Sprint(i), netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), false)
	}
	if len(s.users) > maxTracked || len(s.addresses) > maxTracked {
		t.Errorf("%d users and %d addresses", len(s.users), len(s.addresses))
	}
	if s.users[fmt.Sprint(maxTracked+99)] == nil {
		t.Error("the newest was dropped")
	}
}

func TestIPv6NetworkIsOneAddress(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:1")
	if prefixOf(a) != prefixOf(b) || prefixOf(loopback) == prefixOf(remote) ||
		prefixOf(netip.MustParseAddr("::ffff:192.0.2.7")) != prefixOf(remote) {
		t.Error("prefixes are wrong")
	}
}

// TestUnknownUserCostsAHash compares the time of both; the cost is so high
// that a missing hash shows on any machine under any load.
func TestUnknownUserCostsAHash(t *testing.T) {
	a, _ := newAuth(t, Cost{Memory: 16 << 10, Time: 4, Threads: 1})
	known, unknown := time.Hour, time.Hour
	for range 5 {
		known = min(known, elapsed(t, a, "op", "x", netip.Addr{}))
		unknown = min(unknown, elapsed(t, a, "nobody", "x", netip.Addr{}))
		a.slow = newSlowdown()
	}
	if unknown < known/10 {
		t.Errorf("a known user takes %v, an unknown one %v", known, unknown)
	}
}

func TestPHC(t *testing.T) {
	h := newHasher(DefaultCost())
	s, err := h.hash(t.Context(), "passw0rd")
	if err != nil || !strings.HasPrefix(s, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash %q, %v", s, err)
	}
	again, _ := h.hash(t.Context(), "passw0rd")
	if again == s {
		t.Error("no salt")
	}
	if ok, err := verify(s, "passw0rd"); !ok || err != nil {
		t.Errorf("verify: %v, %v", ok, err)
	}
	if ok, err := verify(s, "passw0rD"); ok || err != nil {
		t.Errorf("verify of another: %v, %v", ok, err)
	}
	for _, bad := range []string{
		"", "x", strings.Replace(s, "argon2id", "argon2i", 1),
		strings.Replace(s, "v=19", "v=16", 1), strings.Replace(s, "m=19456", "m=99999999", 1),
		strings.Replace(s, "t=2", "t=0", 1), s[:len(s)-30], s + "$x",
	} {
		if _, err := verify(bad, "passw0rd"); fault.KindOf(err) != fault.Server {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestVerifyKnownHash holds the hash against one made by the argon2 program
// of the reference implementation: echo -n password | argon2 somesalt -id
// -t 2 -k 65536 -p 1 (its test vector in src/test.c).
func TestVerifyKnownHash(t *testing.T) {
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ" +
		"$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, err := verify(stored, "password"); !ok || err != nil {
		t.Errorf("verify: %v, %v", ok, err)
	}
}

func TestHashesAtOnceAreBounded(t *testing.T) {
	h := newHasher(cheap)
	for range h.slots {
		if err := h.enter(t.Context(), remote); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("one more: %v", err)
	}
	// Hashing never keeps all processors from the requests of hosts.
	if procs := runtime.GOMAXPROCS(0); h.slots > maxAtOnce || h.slots < 1 || h.slots > max(1, procs/2) {
		t.Errorf("%d slots of %d processors", h.slots, procs)
	}
}
