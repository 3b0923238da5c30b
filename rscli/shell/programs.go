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

func verbWords(verbs []verb) []complete.Verb {
	words := make([]complete.Verb, len(verbs))
	for i, v := range verbs {
		words[i] = complete.Verb{Candidate: complete.Candidate{Word: v.name, Note: v.summary}, Takes: v.takes}
	}
	return words
}
