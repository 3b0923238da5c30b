package copyserver

import (
	_ "embed" // for openAPI
	"io"
	"net/http"
	"time"

	"copyservices/copyserver/api"
	"copyservices/copyserver/core"
)

// routes lists the API. openapi.yaml describes it, and a test holds the two
// against each other.
func routes() []route {
	return []route{
		{"GET /healthz", public, (*Server).health},
		{"GET /v1/openapi.yaml", public, (*Server).getOpenAPI},
		{"GET /v1/server", core.Look, (*Server).getServer},

		{"GET /v1/hosts", core.Look, (*Server).listHosts},
		{"GET /v1/hosts/{name}", core.Look, (*Server).getHost},
		{"PUT /v1/hosts/{name}", core.PrimeHost, (*Server).putHost},
		{"DELETE /v1/hosts/{name}", core.DeleteHost, (*Server).deleteHost},

		{"GET /v1/tasks", core.Look, (*Server).listTasks},
		{"POST /v1/tasks", core.WriteTask, (*Server).createTask},
		{"GET /v1/tasks/{name}", core.Look, (*Server).getTask},
		{"PUT /v1/tasks/{name}", core.WriteTask, (*Server).putTask},
		{"DELETE /v1/tasks/{name}", core.WriteTask, (*Server).deleteTask},
		{"POST /v1/tasks/{name}/runs", core.RunTask, (*Server).startRun},
		{"GET /v1/tasks/{name}/completion", core.Look, (*Server).getCompletion},

		{"GET /v1/runs", core.Look, (*Server).listRuns},
		{"GET /v1/runs/{id}", core.Look, (*Server).getRun},
		{"DELETE /v1/runs/{id}", core.DeleteRun, (*Server).deleteRun},

		{"GET /v1/arrays", core.Look, (*Server).listArrays},
		{"GET /v1/arrays/{id}", core.Look, (*Server).getArray},
		{"PATCH /v1/arrays/{id}", core.ChangeArray, (*Server).changeArray},

		{"GET /v1/volumes", core.Look, (*Server).listVolumes},
		{"POST /v1/volumes", core.ChangeVolume, (*Server).createVolumes},
		{"GET /v1/volumes/{serial}", core.Look, (*Server).getVolume},
		{"PATCH /v1/volumes/{serial}", core.ChangeVolume, (*Server).changeVolume},
		{"DELETE /v1/volumes/{serial}", core.ChangeVolume, (*Server).deleteVolume},
		{"GET /v1/volumes/{serial}/content", core.ReadContent, (*Server).getContent},
		{"PUT /v1/volumes/{serial}/content", core.WriteContent, (*Server).putContent},

		{"GET /v1/relationships", core.Look, (*Server).listRelationships},
		{"POST /v1/relationships", core.ActOnPairs, (*Server).establish},
		{"POST /v1/relationships/withdraw", core.ActOnPairs, (*Server).withdraw},
		{"POST /v1/relationships/copy-rate", core.ActOnPairs, (*Server).setCopyRate},

		{"GET /v1/credentials", core.ManageCredentials, (*Server).listCredentials},
		{"POST /v1/credentials", core.ManageCredentials, (*Server).createCredential},
		{"DELETE /v1/credentials/{serial}", core.ManageCredentials, (*Server).revokeCredential},

		{"GET /v1/users", core.ManageUsers, (*Server).listUsers},
		{"POST /v1/users", core.ManageUsers, (*Server).createUser},
		{"PATCH /v1/users/{name}", core.ChangeUser, (*Server).changeUser},
		{"DELETE /v1/users/{name}", core.ManageUsers, (*Server).deleteUser},

		{"GET /v1/entries", core.ManageEntries, (*Server).listEntries},
		{"POST /v1/entries", core.ManageEntries, (*Server).createEntry},
		{"PATCH /v1/entries/{kind}/{address}", core.ManageEntries, (*Server).changeEntry},
		{"DELETE /v1/entries/{kind}/{address}", core.ManageEntries, (*Server).deleteEntry},
	}
}

// health answers monitors that have no user.
func (s *Server) health(q *call) (answer, error) {
	status, text := http.StatusOK, "ok\n"
	for _, arr := range s.arrays.All() {
		if _, err := arr.Properties(q.Context()); err != nil || s.stopping.Err() != nil {
			status, text = http.StatusServiceUnavailable, "not ok\n"
		}
	}
	q.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.WriteHeader(status)
	_, err := io.WriteString(q.w, text)
	q.w.err = err
	return answer{streamed: true}, nil
}

//go:embed api/openapi.yaml
var openAPI []byte

// getOpenAPI answers those too who have no user: the text is everybody's, the same on
// every server of this version, and says nothing of this one. Who is to write a client
// needs it first.
func (s *Server) getOpenAPI(*call) (answer, error) {
	return answer{status: http.StatusOK, body: openAPI, kind: "application/yaml"}, nil
}

// getServer is also how a client tries its connection and credentials.
func (s *Server) getServer(q *call) (answer, error) {
	return ok(api.Server{
		Name: s.hostname, Version: Version, ID: s.id, Time: time.Now().UTC(),
		User: q.by.Name, Role: q.by.Role, DefaultPassword: q.by.DefaultPassword,
		NBD: s.NBDAddr(), Arrays: s.arrays.Names(),
	})
}
