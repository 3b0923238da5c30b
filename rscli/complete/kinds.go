package complete

import (
	"path/filepath"
	"slices"
	"strings"

	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// Program is a command of the suite whose words can be completed.
type Program struct {
	Name  string
	Build program.Builder
	// Verbs are the words that may be its first argument.
	Verbs []Candidate
	// Defaults, where not nil, completes what its settings say.
	Defaults func(*connect.Settings)
}

// kind says what a word of a command line may be. It is one of these, or some
// literal words with blanks between them.
type kind string

const (
	kindAny          kind = ""
	kindFile         kind = ":file"
	kindLog          kind = ":log" // syslog, eventlog or a file
	kindServer       kind = ":server"
	kindVerb         kind = ":verb" // of setdevice and setuser
	kindTask         kind = ":task"
	kindVolume       kind = ":volume"
	kindPair         kind = ":pair"         // two volumes
	kindRelationship kind = ":relationship" // a pair that exists
	kindEndpoint     kind = ":endpoint"     // host:device, or a volume
	kindHost         kind = ":host"
	kindArray        kind = ":array"
	kindRun          kind = ":run"
	kindUser         kind = ":user"
)

// flagKinds are the kinds of flags' values, by name: a name means the same in
// every command. Flags that are not here take anything.
var flagKinds = map[string]kind{
	"server": kindServer, "backup-server": kindServer,
	"password-file": kindFile, "new-password-file": kindFile, "cacert": kindFile,
	"sysroot": kindFile, "file": kindFile, "out": kindFile, "log": kindLog,
	"type": kind(join(taskstore.TaskTypes)), "role": kind(join(taskstore.Roles)),
	"pair": kindPair, "source": kindEndpoint, "target": kindEndpoint,
	"task": kindTask, "array": kindArray, "host": kindHost, "copy-rate": "none",
}

// argumentKinds are the kinds of the arguments, by the words of the command; the
// last stands for all that follow where the command takes more.
var argumentKinds = map[string][]kind{
	"rsExecuteTask": {kindTask}, "rsQueryComplete": {kindTask},
	"rsQuery": {kindVolume}, "rsFlashCopyQuery": {kindVolume},
	"setdevice": {kindVerb}, "setuser": {kindVerb},

	"esscli completion":          {kind(strings.Join(shellNames, " "))},
	"esscli create relationship": {kindPair},
	"esscli list volume":         {kindVolume},
	"esscli list relationship":   {kindVolume},
	"esscli show volume":         {kindVolume},
	"esscli show task":           {kindTask},
	"esscli show host":           {kindHost},
	"esscli show array":          {kindArray},
	"esscli show relationship":   {kindRelationship},
	"esscli show run":            {kindRun},
	"esscli show user":           {kindUser},
	"esscli set volume":          {kindVolume},
	"esscli set array":           {kindArray},
	"esscli set relationship":    {kindRelationship},
	"esscli set user":            {kindUser},
	"esscli delete volume":       {kindVolume},
	"esscli delete task":         {kindTask},
	"esscli delete host":         {kindHost},
	"esscli delete run":          {kindRun},
	"esscli delete user":         {kindUser},
	"esscli delete relationship": {kindRelationship},
	"esscli import volume":       {kindVolume, kindFile},
	"esscli export volume":       {kindVolume, kindFile},
}

// verbKinds are the kinds of what follows a verb of setuser.
var verbKinds = map[string]kind{"chuser": kindUser, "rmuser": kindUser}

// copyserverFlags are the flags of the server with what they take. The server is
// no part of this package; a script holds the list to what it prints.
var copyserverFlags = map[string]kind{
	"state": kindFile, "config": kindFile, "listen": kindAny, "nbd-listen": kindAny,
	"nbd-insecure": "", "nbd-tls": "", "nbd-tls-cert": kindFile, "nbd-tls-key": kindFile,
	"nbd-tls-client-ca": kindFile, "array-serial": kindAny, "ready-file": kindFile, "memory": kindAny,
	"log-format": "text json", "log-level": "debug info warn error", "help": "", "version": "",
}

const serverProgram = "copyserver"

// programNames are all names under which a program of the suite may be called:
// its own and, for old scripts, with an ending.
func programNames(programs []Program) []string {
	names := []string{serverProgram}
	for _, p := range programs {
		names = append(names, p.Name, p.Name+".sh")
	}
	slices.Sort(names)
	return names
}

// programName takes folder and ending from the word that calls a program.
func programName(word string) string {
	name := filepath.Base(strings.ReplaceAll(word, `\`, "/"))
	for _, ending := range []string{".sh", ".exe", ".bat", ".cmd"} {
		if short, ok := strings.CutSuffix(name, ending); ok {
			return short
		}
	}
	return name
}

func join[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, " ")
}
