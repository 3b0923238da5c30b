package shell

import (
	"copyservices/rscli/complete"
	"copyservices/rscli/connect"
)

// Programs are setdevice and setuser, for the completion.
func Programs() []complete.Program {
	defaults := func(l *connect.Settings) { localUser(l) }
	return []complete.Program{
		{Name: "setdevice", Build: NewSetDevice, Verbs: verbWords(deviceVerbs()), Defaults: defaults},
		{Name: "setuser", Build: NewSetUser, Verbs: verbWords(userVerbs()), Defaults: defaults},
	}
}

func verbWords(verbs []verb) []complete.Candidate {
	words := make([]complete.Candidate, len(verbs))
	for i, v := range verbs {
		words[i] = complete.Candidate{Word: v.name, Note: v.summary}
	}
	return words
}
