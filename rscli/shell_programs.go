package rscli

// shellPrograms are setdevice and setuser, for the completion.
func shellPrograms() []Program {
	defaults := func(l *layer) { localUser(l) }
	return []Program{
		{Name: "setdevice", Build: newSetDevice, Verbs: verbWords(deviceVerbs()), Defaults: defaults},
		{Name: "setuser", Build: newSetUser, Verbs: verbWords(userVerbs()), Defaults: defaults},
	}
}

func verbWords(verbs []verb) []candidate {
	words := make([]candidate, len(verbs))
	for i, v := range verbs {
		words[i] = candidate{Word: v.name, Note: v.summary}
	}
	return words
}
