package api

import (
	"reflect"
	"strings"
	"testing"
)

// TestNothingStoredIsCarried: a struct of the store in an answer would show a client
// every field that is added to it later.
func TestNothingStoredIsCarried(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(path string, of reflect.Type)
	look = func(path string, of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			look(path, of.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[of] {
			return
		}
		seen[of] = true
		if strings.HasSuffix(of.PkgPath(), "/taskstore") {
			t.Errorf("%s is %s", path, of)
		}
		for field := range of.NumField() {
			f := of.Field(field)
			look(path+"."+f.Name, f.Type)
		}
	}
	for _, answer := range []any{
		Server{}, User{}, Host{}, PrimedHost{}, Task{}, Run{}, Completion{}, Array{}, Volume{},
		WrittenVolume{}, Relationship{}, PairsResult{}, Credential{}, CredentialIssued{}, Entry{},
		ErrorBody{},
	} {
		look(reflect.TypeOf(answer).Name(), reflect.TypeOf(answer))
	}
	if len(seen) < 16 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}
