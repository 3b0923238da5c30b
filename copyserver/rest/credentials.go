package rest

import (
	"context"

	"copyservices/copyserver/api"
)

func (s *API) listCredentials(q *call) (answer, error) {
	all, err := s.core.Credentials(q.by)
	if err != nil {
		return answer{}, err
	}
	return ok(list(all, wireCredential))
}

// createCredential is keyed: repeated after a lost answer, it answers with the
// same certificate.
func (s *API) createCredential(q *call) (answer, error) {
	var req api.CredentialRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.once(q, body, func() (act, error) {
		issue, err := s.core.IssueCredential(q.by, req.Host, req.Request)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (answer, error) {
			issued, err := issue(ctx)
			if err != nil {
				return answer{}, err
			}
			return created(api.CredentialIssued{
				Credential: wireCredential(issued.Credential), Certificate: issued.Certificate,
				Authority: issued.Authority,
			})
		}, nil
	})
}

func (s *API) revokeCredential(q *call) (answer, error) {
	if err := s.core.RevokeCredential(q.by, q.PathValue("serial")); err != nil {
		return answer{}, err
	}
	return done()
}
