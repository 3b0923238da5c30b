package copyserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/rest"
	"copyservices/taskstore"
)

// The specification as far as the tests read it. Unknown keys of a schema
// fail the load: a rule that is not checked is no rule.

type specification struct {
	Paths      map[string]map[string]*operation `yaml:"paths"`
	Components struct {
		Schemas map[string]*schema `yaml:"schemas"`
	} `yaml:"components"`
}

type operation struct {
	ID        string         `yaml:"operationId"`
	Role      taskstore.Role `yaml:"x-role"`
	Responses map[string]struct {
		Ref     string `yaml:"$ref"`
		Content map[string]struct {
			Schema *schema `yaml:"schema"`
		} `yaml:"content"`
	} `yaml:"responses"`
	Parameters []struct {
		Ref string `yaml:"$ref"`
	} `yaml:"parameters"`
}

type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Enum       []string           `yaml:"enum"`
	Format     string             `yaml:"format"`
	Pattern    string             `yaml:"pattern"`
	Minimum    *float64           `yaml:"minimum"`
	Maximum    *float64           `yaml:"maximum"`
	MinLength  int                `yaml:"minLength"`
	MaxLength  int                `yaml:"maxLength"`
	Required   []string           `yaml:"required"`
	Properties map[string]*schema `yaml:"properties"`
	Closed     *bool              `yaml:"additionalProperties"`
	Items      *schema            `yaml:"items"`
}

var remarks = []string{
	"description", "contentMediaType", "default", "examples", "writeOnly", "readOnly",
}

// UnmarshalYAML leaves out what says nothing about a value.
func (s *schema) UnmarshalYAML(n *yaml.Node) error {
	type plain schema
	kept := *n
	kept.Content = nil
	for i := 0; i < len(n.Content); i += 2 {
		if !slices.Contains(remarks, n.Content[i].Value) {
			kept.Content = append(kept.Content, n.Content[i], n.Content[i+1])
		}
	}
	data, err := yaml.Marshal(&kept)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	return dec.Decode((*plain)(s))
}

func loadSpec(t *testing.T) *specification {
	t.Helper()
	data, err := os.ReadFile("rest/openapi.yaml")
	must(t, err)
	var spec specification
	must(t, yaml.Unmarshal(data, &spec))
	return &spec
}

// validate returns what is wrong with v, a decoded JSON value.
func (sp *specification) validate(s *schema, v any, at string) error {
	if s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		target, ok := sp.Components.Schemas[name]
		if !ok {
			return fmt.Errorf("%s: no schema %s", at, s.Ref)
		}
		return sp.validate(target, v, at)
	}
	if s.Enum != nil {
		if text, ok := v.(string); !ok || !slices.Contains(s.Enum, text) {
			return fmt.Errorf("%s: %v is none of %v", at, v, s.Enum)
		}
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		return sp.validateObject(s, v, at)
	case []any:
		for i, item := range v {
			if s.Type != "array" {
				break
			}
			if err := sp.validate(s.Items, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return s.wantType("array", at)
	case string:
		return s.validateString(v, at)
	case float64:
		return s.validateNumber(v, at)
	case bool:
		return s.wantType("boolean", at)
	}
	return fmt.Errorf("%s: is %v", at, v)
}

func (s *schema) wantType(got, at string) error {
	if s.Type != got {
		return fmt.Errorf("%s: a %s, want a %s", at, got, s.Type)
	}
	return nil
}

func (sp *specification) validateObject(s *schema, v map[string]any, at string) error {
	for _, key := range s.Required {
		if _, ok := v[key]; !ok {
			return fmt.Errorf("%s: no %s", at, key)
		}
	}
	for key, value := range v {
		property, ok := s.Properties[key]
		if !ok {
			return fmt.Errorf("%s: unknown key %s", at, key)
		}
		if err := sp.validate(property, value, at+"."+key); err != nil {
			return err
		}
	}
	return s.wantType("object", at)
}

func (s *schema) validateString(v, at string) error {
	if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
		return fmt.Errorf("%s: %q does not match %s", at, v, s.Pattern)
	}
	if len(v) < s.MinLength || s.MaxLength > 0 && len(v) > s.MaxLength {
		return fmt.Errorf("%s: length of %q", at, v)
	}
	if s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return s.wantType("string", at)
}

func (s *schema) validateNumber(v float64, at string) error {
	if v != math.Trunc(v) || s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
		return fmt.Errorf("%s: %v is out of range", at, v)
	}
	return s.wantType("integer", at)
}

func TestSpecificationNamesEveryRoute(t *testing.T) {
	spec := loadSpec(t)
	var described, handled []string
	for path, methods := range spec.Paths {
		for method, op := range methods {
			described = append(described, strings.ToUpper(method)+" "+path+" "+string(op.Role))
		}
	}
	for _, r := range rest.Routes() {
		handled = append(handled, r.Pattern+" "+string(r.Role))
	}
	slices.Sort(described)
	slices.Sort(handled)
	if !slices.Equal(described, handled) {
		t.Errorf("openapi.yaml describes\n%s\nthere are\n%s",
			strings.Join(described, "\n"), strings.Join(handled, "\n"))
	}
	kinds := spec.Components.Schemas["Detail"].Properties["kind"].Enum
	for _, kind := range fault.Kinds() {
		if !slices.Contains(kinds, string(kind)) || len(kinds) != len(fault.Kinds()) {
			t.Errorf("openapi.yaml has the kinds %v, there is %s", kinds, kind)
		}
	}
}

// tour validates every answer and notes which operations succeeded.
type tour struct {
	*testing.T
	spec *specification
	seen map[string]bool // operationId; and operationId, status and media type
}

func (c *tour) answer(method, path string, resp *http.Response, body []byte) {
	c.Helper()
	status, kind := resp.StatusCode, resp.Header.Get("Content-Type")
	u, err := url.Parse(path)
	must(c.T, err)
	op := c.find(method, u.EscapedPath())
	if op == nil {
		c.Errorf("%s %s is not described", method, path)
		return
	}
	response, ok := op.Responses[fmt.Sprint(status)]
	want := &schema{Ref: "#/components/schemas/Error"}
	switch {
	case ok:
		c.seen[op.ID] = c.seen[op.ID] || status < 400
		kind, _, _ = strings.Cut(kind, ";")
		content, isThere := response.Content[kind]
		if isThere != (kind != "") {
			c.Errorf("%s %s: an answer of the type %q is not described", method, path, kind)
		}
		c.seen[fmt.Sprint(op.ID, " ", status, " ", kind)] = true
		if kind != "application/json" {
			return
		}
		want = content.Schema
	case op.Responses["default"].Ref == "" || status < 400:
		c.Errorf("%s %s: status %d is not described", method, path, status)
		return
	}
	var v any
	must(c.T, json.Unmarshal(body, &v))
	if err := c.spec.validate(want, v, op.ID); err != nil {
		c.Errorf("%s %s: %v in %s", method, path, err, body)
	}
}

func (c *tour) find(method, path string) *operation {
	segments := strings.Split(path, "/")
	var best *operation
	params := math.MaxInt
	for pattern, methods := range c.spec.Paths {
		want := strings.Split(pattern, "/")
		n := strings.Count(pattern, "{")
		fits := slices.EqualFunc(segments, want, func(got, want string) bool {
			return got == want || strings.HasPrefix(want, "{")
		})
		if op := methods[strings.ToLower(method)]; fits && op != nil && n < params {
			best, params = op, n
		}
	}
	return best
}

// TestAnswersFitTheSpecification calls every operation for real.
func TestAnswersFitTheSpecification(t *testing.T) {
	w := start(t, t.TempDir())
	c := &tour{t, loadSpec(t), map[string]bool{}}
	w.check = c.answer
	w.do("GET", "/healthz", nil, 200, nil)
	w.do("GET", "/v1/server", nil, 200, nil)
	resp, text := w.request("GET", "/v1/openapi.yaml", nil)
	if own, err := os.ReadFile("rest/openapi.yaml"); resp.StatusCode != 200 || !bytes.Equal(text, own) {
		t.Errorf("the server's own description: %s, %d bytes; %v", resp.Status, len(text), err)
	}
	tourVolumes(w)
	tourTasks(w)
	tourPeople(w)
	for path, methods := range c.spec.Paths {
		for method, op := range methods {
			if !c.seen[op.ID] {
				t.Errorf("%s %s was not called with success", method, path)
			}
		}
	}
	for _, answer := range []string{
		"getContent 200 " + api.RawContentType, "getContent 206 " + api.RawContentType,
		"getContent 200 " + api.SparseContentType, "getContent 416 application/json",
	} {
		if !c.seen[answer] {
			t.Errorf("no answer was %q", answer)
		}
	}
}

func tourVolumes(w *world) {
	w.do("GET", "/v1/volumes", nil, 200, nil)
	v := w.volumes(4)
	w.do("GET", "/v1/arrays", nil, 200, nil)
	w.do("GET", "/v1/arrays/2105.13698", nil, 200, nil)
	w.do("GET", "/v1/volumes/"+v[0], nil, 200, nil)
	content := w.content(v[0])
	w.do("PUT", "/v1/volumes/"+v[0]+"/content", bytes.NewReader(content), 200, nil,
		"Content-Type", api.SparseContentType)
	w.do("PUT", "/v1/volumes/"+v[0]+"/content", strings.NewReader("image"), 200, nil,
		"Content-Type", api.RawContentType)
	w.request("GET", "/v1/volumes/"+v[0]+"/content", nil)
	w.request("GET", "/v1/volumes/"+v[0]+"/content", nil, "Range", "bytes=0-4")
	w.refused("GET", "/v1/volumes/"+v[0]+"/content", nil, 416, fault.Usage, "bytes", "Range", "bytes=-0")
	pairs := []api.TaskPair{{Source: v[0], Target: v[1]}}
	req := api.EstablishRequest{Pairs: pairs}
	req.Options.NoCopy = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	w.do("GET", "/v1/relationships", nil, 200, nil)
	rate := int64(1 << 20)
	w.do("POST", "/v1/relationships/copy-rate", api.CopyRateRequest{Pairs: pairs, CopyRate: &rate},
		200, nil)
	w.do("POST", "/v1/relationships/background-copy", api.PairsRequest{Pairs: pairs}, 200, nil)
	tourRecording(w)
	w.do("PATCH", "/v1/arrays/2105.13698", api.ArrayChange{CopyRate: &rate}, 200, nil)
	w.do("PATCH", "/v1/volumes/"+v[2], api.VolumeChange{Size: 2 << 20}, 200, nil)
	w.assign(v[0], api.HostAccess{Host: "vm"}, api.HostAccess{Host: "vm2", ReadOnly: true})
	c := w.credential("vm")
	w.do("DELETE", "/v1/credentials/"+c.Serial, nil, 204, nil)
	w.do("GET", "/v1/credentials", nil, 200, nil)
	w.do("GET", "/v1/volumes?serial="+v[0]+"&serial="+v[1], nil, 200, nil)
	for _, path := range []string{"/v1/volumes?array=2105.13698", "/v1/relationships?array=2105.13698"} {
		w.do("GET", path, nil, 200, nil)
		w.refused("GET", path+"&serial="+v[0]+"&volume="+v[0], nil, 400, fault.Usage, "both array and")
	}
	w.refused("GET", "/v1/volumes?array=2105.99999", nil, 404, fault.NotFound, "no array 2105.99999")
	w.refused("DELETE", "/v1/volumes/"+v[1], nil, 422, fault.Refused, v[1])
	w.do("POST", "/v1/relationships/withdraw", api.PairsRequest{Pairs: pairs}, 200, nil)
	w.do("GET", "/v1/volumes", nil, 200, nil)
	w.do("DELETE", "/v1/volumes/"+v[1], nil, 204, nil)
	w.refused("DELETE", "/v1/volumes/"+v[1], nil, 404, fault.NotFound, v[1])
}

func tourRecording(w *world) {
	v := w.volumes(2)
	pairs := api.PairsRequest{Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}}
	w.do("POST", "/v1/relationships", api.EstablishRequest{
		Pairs: pairs.Pairs, Options: arrayclient.Options{Record: true, Freeze: true},
	}, 201, nil)
	w.do("POST", "/v1/relationships/consistency-created", pairs, 200, nil)
	w.do("POST", "/v1/relationships/resync", pairs, 200, nil)
	w.recorded(v[0])
	w.do("POST", "/v1/relationships/reverse", pairs, 200, nil)
	w.refused("POST", "/v1/relationships/reverse", pairs, 404, fault.NotFound, v[1])
}

// recorded waits until the copy of a volume that records changes is complete.
func (w *world) recorded(volume string) {
	w.Helper()
	for range 3000 {
		var rels []api.Relationship
		w.do("GET", "/v1/relationships?volume="+volume, nil, 200, &rels)
		if len(rels) == 1 && rels[0].State == arrayclient.StateComplete {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.Fatalf("the copy of %s does not end", volume)
}

func tourTasks(w *world) {
	v := w.volumes(2)
	host := api.Host{Name: "vm", OS: "linux", Devices: []api.Device{
		{Name: "/dev/sdb", Serial: "00013698"}, {Name: "a:b", Serial: "00113698"},
	}}
	w.do("PUT", "/v1/hosts/VM", host, 200, nil)
	w.do("GET", "/v1/hosts", nil, 200, nil)
	w.do("GET", "/v1/hosts/vm", nil, 200, nil)
	w.do("GET", "/v1/volumes", nil, 200, nil)
	task := api.Task{Name: "T 1", Type: taskstore.TaskEstablish, Pairs: []api.TaskPair{
		{Source: v[0], Target: v[1]},
	}}
	w.do("POST", "/v1/tasks", task, 201, nil)
	w.refused("POST", "/v1/tasks", task, 409, fault.Usage, "a task named T 1 exists already")
	w.do("PUT", "/v1/tasks/t%201", task, 200, nil)
	w.do("GET", "/v1/tasks", nil, 200, nil)
	w.do("GET", "/v1/tasks/T%201", nil, 200, nil)
	w.refused("GET", "/v1/tasks/t%201/completion", nil, 422, fault.Refused, "has not been run")
	w.do("POST", "/v1/tasks/t%201/runs", api.RunRequest{DryRun: true}, 200, nil)
	var run api.Run
	w.do("POST", "/v1/tasks/t%201/runs", api.RunRequest{Wait: true}, 201, &run)
	w.do("GET", "/v1/runs/"+run.ID+"?wait=30", nil, 200, nil)
	w.do("GET", "/v1/tasks/t%201/completion?wait=30", nil, 200, nil)
	w.do("POST", "/v1/tasks/t%201/runs", "{}", 201, nil)
	w.do("GET", "/v1/runs?task=t%201&limit=1", nil, 200, nil)
	w.do("DELETE", "/v1/runs/"+run.ID, nil, 204, nil)
	w.do("DELETE", "/v1/tasks/t%201", nil, 204, nil)
	w.do("DELETE", "/v1/hosts/vm", nil, 204, nil)
}

func tourPeople(w *world) {
	w.do("POST", "/v1/users", api.UserChange{Name: "u", Password: "p"}, 201, nil)
	w.do("GET", "/v1/users", nil, 200, nil)
	w.do("PATCH", "/v1/users/u", api.UserChange{Role: taskstore.RoleMonitor}, 200, nil)
	w.do("DELETE", "/v1/users/u", nil, 204, nil)
	e := api.Entry{Kind: taskstore.EntryESSServer, Address: "10.0.0.5", User: "u", Password: "p"}
	w.do("POST", "/v1/entries", e, 201, nil)
	w.do("GET", "/v1/entries", nil, 200, nil)
	w.do("PATCH", "/v1/entries/essserver/10.0.0.5", api.Entry{Alternate: "10.0.0.6"}, 200, nil)
	w.do("DELETE", "/v1/entries/essserver/10.0.0.5", nil, 204, nil)
}
