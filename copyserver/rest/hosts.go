package rest

import (
	"strconv"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/core"
)

func (s *API) listHosts(q *call) (answer, error) {
	all, err := s.core.Hosts(q.by)
	if err != nil {
		return answer{}, err
	}
	return ok(list(all, wireHost))
}

func (s *API) getHost(q *call) (answer, error) {
	h, err := s.core.Host(q.by, q.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	return ok(wireHost(h))
}

// flag reads a key of the query that is true or false, false where it is not given.
func (q *call) flag(key string) (bool, error) {
	text := q.URL.Query().Get(key)
	if text == "" {
		return false, nil
	}
	set, err := strconv.ParseBool(text)
	if err != nil {
		return false, fault.New(fault.Usage, "%s is true or false, not %.20q", key, text)
	}
	return set, nil
}

func (q *call) prime() (p core.Prime, err error) {
	p.Machine = q.URL.Query().Get("machine")
	if p.Replace, err = q.flag("replace"); err != nil {
		return p, err
	}
	p.AllowEmpty, err = q.flag("allow-empty")
	return p, err
}

func (s *API) putHost(q *call) (answer, error) {
	var h api.Host
	if _, err := q.decode(&h); err != nil {
		return answer{}, err
	}
	if err := q.sameName(h.Name); err != nil {
		return answer{}, err
	}
	prime, err := q.prime()
	if err != nil {
		return answer{}, err
	}
	stored, warnings, err := s.core.PrimeHost(q.by, h.Stored(), prime)
	if err != nil {
		return answer{}, err
	}
	return ok(api.PrimedHost{Host: wireHost(stored), Warnings: warnings})
}

func (s *API) deleteHost(q *call) (answer, error) {
	if err := s.core.DeleteHost(q.by, q.PathValue("name")); err != nil {
		return answer{}, err
	}
	return done()
}
