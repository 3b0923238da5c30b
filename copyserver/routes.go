package copyserver

import (
	_ "embed" // for openAPI
	"io"
	"net/http"

	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// routes lists the API. openapi.yaml describes it, and a test holds the two
// against each other.
func routes() []route {
	const (
		monitor  = taskstore.RoleMonitor
		operator = taskstore.RoleOperator
		admin    = taskstore.RoleAdmin
	)
	return []route{
		{"GET /healthz", "", (*Server).health},
		{"GET /v1/openapi.yaml", "", (*Server).getOpenAPI},
		{"GET /v1/server", monitor, (*Server).getServer},

		{"GET /v1/hosts", monitor, (*Server).listHosts},
		{"GET /v1/hosts/{name}", monitor, (*Server).getHost},
		{"PUT /v1/hosts/{name}", operator, (*Server).putHost},
		{"DELETE /v1/hosts/{name}", admin, (*Server).deleteHost},

		{"GET /v1/tasks", monitor, (*Server).listTasks},
		{"POST /v1/tasks", admin, (*Server).createTask},
		{"GET /v1/tasks/{name}", monitor, (*Server).getTask},
		{"PUT /v1/tasks/{name}", admin, (*Server).putTask},
		{"DELETE /v1/tasks/{name}", admin, (*Server).deleteTask},
		{"POST /v1/tasks/{name}/runs", operator, (*Server).startRun},
		{"GET /v1/tasks/{name}/completion", monitor, (*Server).getCompletion},

		{"GET /v1/runs", monitor, (*Server).listRuns},
		{"GET /v1/runs/{id}", monitor, (*Server).getRun},
		{"DELETE /v1/runs/{id}", admin, (*Server).deleteRun},

		{"GET /v1/arrays", monitor, (*Server).listArrays},
		{"GET /v1/arrays/{id}", monitor, (*Server).getArray},
		{"PATCH /v1/arrays/{id}", admin, (*Server).changeArray},

		{"GET /v1/volumes", monitor, (*Server).listVolumes},
		{"POST /v1/volumes", admin, (*Server).createVolumes},
		{"GET /v1/volumes/{serial}", monitor, (*Server).getVolume},
		{"PATCH /v1/volumes/{serial}", admin, (*Server).changeVolume},
		{"DELETE /v1/volumes/{serial}", admin, (*Server).deleteVolume},
		{"GET /v1/volumes/{serial}/content", admin, (*Server).getContent},
		{"PUT /v1/volumes/{serial}/content", admin, (*Server).putContent},

		{"GET /v1/relationships", monitor, (*Server).listRelationships},
		{"POST /v1/relationships", admin, (*Server).establish},
		{"POST /v1/relationships/withdraw", admin, (*Server).withdraw},
		{"POST /v1/relationships/copy-rate", admin, (*Server).setCopyRate},

		{"GET /v1/credentials", admin, (*Server).listCredentials},
		{"POST /v1/credentials", admin, (*Server).createCredential},
		{"DELETE /v1/credentials/{serial}", admin, (*Server).revokeCredential},

		{"GET /v1/users", admin, (*Server).listUsers},
		{"POST /v1/users", admin, (*Server).createUser},
		{"PATCH /v1/users/{name}", monitor, (*Server).changeUser},
		{"DELETE /v1/users/{name}", admin, (*Server).deleteUser},

		{"GET /v1/entries", admin, (*Server).listEntries},
		{"POST /v1/entries", admin, (*Server).createEntry},
		{"PATCH /v1/entries/{kind}/{address}", admin, (*Server).changeEntry},
		{"DELETE /v1/entries/{kind}/{address}", admin, (*Server).deleteEntry},
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
		Name: s.hostname, Version: Version, ID: s.id, Time: now(),
		User: q.user.Name, Role: q.user.Role, DefaultPassword: q.user.DefaultPassword,
		NBD: s.NBDAddr(), Arrays: s.arrays.Names(),
	})
}
