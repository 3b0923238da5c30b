package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"copyservices/arrayclient/fault"
)

// decodeStrict takes exactly one value, as strictly as files are read: no key that
// is unknown, also by its case, and none twice, at whatever depth. Of two values
// for a key the library would take the last, and some other reader the first.
func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		_, err = dec.Token()
		switch {
		case err == nil || !errors.Is(err, io.EOF):
			err = errors.New("more than one JSON value")
		case !utf8.Valid(data):
			err = errors.New("it is not UTF-8")
		default:
			err = checkKeys(json.NewDecoder(bytes.NewReader(data)), reflect.TypeOf(v))
		}
	}
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	text := strings.TrimPrefix(err.Error(), "json: ")
	if errors.As(err, &wrong) {
		text = "key " + strconv.Quote(wrong.Field) + " cannot be a " + wrong.Value
	}
	return fault.New(fault.Usage, "the request is not understood: %s", text)
}

// checkKeys reads one value, which is good JSON, beside the type that it is for;
// nil is one that takes any keys.
func checkKeys(dec *json.Decoder, t reflect.Type) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token {
	case json.Delim('{'):
		err = checkObject(dec, t)
	case json.Delim('['):
		for err == nil && dec.More() {
			err = checkKeys(dec, elemOf(t))
		}
	default:
		return nil
	}
	if err == nil {
		_, err = dec.Token() // the closing bracket
	}
	return err
}

func checkObject(dec *json.Decoder, t reflect.Type) error {
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key := fmt.Sprint(token)
		inner, known := fields[key]
		switch {
		case seen[key]:
			return fmt.Errorf("the key %q for the second time", key)
		case !known && fields != nil:
			return fmt.Errorf("unknown field %q", key)
		case !known:
			inner = elemOf(t)
		}
		seen[key] = true
		if err := checkKeys(dec, inner); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf returns the types of a struct's fields by their keys, nil for a type
// that has none.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported(), name == "-", f.Anonymous && name == "":
		case name == "":
			fields[f.Name] = f.Type
		default:
			fields[name] = f.Type
		}
	}
	return fields
}

// elemOf returns the type of what a list or a map holds, nil for others.
func elemOf(t reflect.Type) reflect.Type {
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return t.Elem()
	}
	return nil
}
