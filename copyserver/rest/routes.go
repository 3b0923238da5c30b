package rest

import (
	_ "embed" // for openAPI
	"io"
	"net/http"
	"time"

	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

// routes lists the API. openapi.yaml describes it, and a test holds the two
// against each other.
func routes() []route {
	return []route{
		{"GET /healthz", public, (*API).health},
		{"GET /v1/openapi.yaml", public, (*API).getOpenAPI},
		{"GET /v1/server", core.Look, (*API).getServer},

		{"GET /v1/hosts", core.Look, (*API).listHosts},
		{"GET /v1/hosts/{name}", core.Look, (*API).getHost},
		{"PUT /v1/hosts/{name}", core.PrimeHost, (*API).putHost},
		{"DELETE /v1/hosts/{name}", core.DeleteHost, (*API).deleteHost},

		{"GET /v1/tasks", core.Look, (*API).listTasks},
		{"POST /v1/tasks", core.WriteTask, (*API).createTask},
		{"GET /v1/tasks/{name}", core.Look, (*API).getTask},
		{"PUT /v1/tasks/{name}", core.WriteTask, (*API).putTask},
		{"DELETE /v1/tasks/{name}", core.WriteTask, (*API).deleteTask},
		{"POST /v1/tasks/{name}/runs", core.RunTask, (*API).startRun},
		{"GET /v1/tasks/{name}/completion", core.Look, (*API).getCompletion},

		{"GET /v1/runs", core.Look, (*API).listRuns},
		{"GET /v1/runs/{id}", core.Look, (*API).getRun},
		{"DELETE /v1/runs/{id}", core.DeleteRun, (*API).deleteRun},

		{"GET /v1/arrays", core.Look, (*API).listArrays},
		{"GET /v1/arrays/{id}", core.Look, (*API).getArray},
		{"PATCH /v1/arrays/{id}", core.ChangeArray, (*API).changeArray},

		{"GET /v1/volumes", core.Look, (*API).listVolumes},
		{"POST /v1/volumes", core.ChangeVolume, (*API).createVolumes},
		{"GET /v1/volumes/{serial}", core.Look, (*API).getVolume},
		{"PATCH /v1/volumes/{serial}", core.ChangeVolume, (*API).changeVolume},
		{"DELETE /v1/volumes/{serial}", core.ChangeVolume, (*API).deleteVolume},
		{"GET /v1/volumes/{serial}/content", core.ReadContent, (*API).getContent},
		{"PUT /v1/volumes/{serial}/content", core.WriteContent, (*API).putContent},

		{"GET /v1/relationships", core.Look, (*API).listRelationships},
		{"POST /v1/relationships", core.ActOnPairs, (*API).establish},
		{"POST /v1/relationships/withdraw", core.ActOnPairs, (*API).withdraw},
		{"POST /v1/relationships/resync", core.ActOnPairs, (*API).resync},
		{"POST /v1/relationships/reverse", core.ActOnPairs, (*API).reverse},
		{"POST /v1/relationships/background-copy", core.ActOnPairs, (*API).backgroundCopy},
		{"POST /v1/relationships/consistency-created", core.ActOnPairs, (*API).consistencyCreated},
		{"POST /v1/relationships/copy-rate", core.ActOnPairs, (*API).setCopyRate},

		{"GET /v1/credentials", core.ManageCredentials, (*API).listCredentials},
		{"POST /v1/credentials", core.ManageCredentials, (*API).createCredential},
		{"DELETE /v1/credentials/{serial}", core.ManageCredentials, (*API).revokeCredential},

		{"GET /v1/users", core.ManageUsers, (*API).listUsers},
		{"POST /v1/users", core.ManageUsers, (*API).createUser},
		{"PATCH /v1/users/{name}", core.ChangeUser, (*API).changeUser},
		{"DELETE /v1/users/{name}", core.ManageUsers, (*API).deleteUser},

		{"GET /v1/entries", core.ManageEntries, (*API).listEntries},
		{"POST /v1/entries", core.ManageEntries, (*API).createEntry},
		{"PATCH /v1/entries/{kind}/{address}", core.ManageEntries, (*API).changeEntry},
		{"DELETE /v1/entries/{kind}/{address}", core.ManageEntries, (*API).deleteEntry},
	}
}

// Route is a path and a method of the API, as http.ServeMux takes them.
type Route struct {
	Pattern string
	Role    taskstore.Role // at least; empty: no user is needed
}

// Routes returns all there are.
func Routes() []Route {
	var out []Route
	for _, r := range routes() {
		out = append(out, Route{r.pattern, r.act.Role})
	}
	return out
}

// health answers monitors that have no user. An array that was registered and does not
// answer is no fault of the server.
func (s *API) health(q *call) (answer, error) {
	status, text := http.StatusOK, "ok\n"
	own, _ := s.core.Arrays.Own()
	if _, err := own.Properties(q.Context()); err != nil || s.stopping.Err() != nil {
		status, text = http.StatusServiceUnavailable, "not ok\n"
	}
	q.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.WriteHeader(status)
	_, err := io.WriteString(q.w, text)
	q.w.err = err
	return answer{streamed: true}, nil
}

//go:embed openapi.yaml
var openAPI []byte

// getOpenAPI answers those too who have no user: the text is everybody's, the same on
// every server of this version, and says nothing of this one. Who is to write a client
// needs it first.
func (s *API) getOpenAPI(*call) (answer, error) {
	return answer{status: http.StatusOK, body: openAPI, kind: "application/yaml"}, nil
}

// getServer is also how a client tries its connection and credentials.
func (s *API) getServer(q *call) (answer, error) {
	out := s.server
	out.Arrays = s.core.Arrays.Names()
	out.Time = time.Now().UTC()
	out.User, out.Role, out.DefaultPassword = q.by.Name, q.by.Role, q.by.DefaultPassword
	return ok(out)
}
