package arrayclient

// Unwrapper is an array in front of another one, which it changes in something: what
// it retries, or bounds, or writes down.
type Unwrapper interface {
	Unwrap() Array
}

// As returns array as T, an optional act such as Resyncer. Of an array in front of
// others the first that has it counts, so that a wrapper need not know all acts there
// are; one that changes an act has that act itself.
func As[T any](array Array) (act T, ok bool) {
	for {
		if a, ok := array.(*around); ok && !has[T](a.behind()) {
			return act, false // it has all acts on behalf of the one behind
		}
		if act, ok := array.(T); ok {
			return act, true
		}
		outer, ok := array.(Unwrapper)
		if !ok {
			return act, false
		}
		array = outer.Unwrap()
	}
}

func has[T any](array Array) bool {
	_, ok := As[T](array)
	return ok
}

// features names the optional acts for people.
var features = []struct {
	name string
	in   func(Array) bool
}{
	{"background-copy", has[BackgroundCopier]},
	{"resync", has[Resyncer]},
	{"reverse", has[Reverser]},
	{"freeze", has[Freezer]},
	{"record", has[Resyncer]}, // what a resync copies is what was recorded
	{"copy-rate", has[RateSetter]},
	{"expand", has[Expander]},
	{"label", has[Labeler]},
	{"content", has[Opener]},
}

// Features returns the names of the optional acts that array has.
func Features(array Array) []string {
	names := []string{}
	for _, f := range features {
		if f.in(array) {
			names = append(names, f.name)
		}
	}
	return names
}
