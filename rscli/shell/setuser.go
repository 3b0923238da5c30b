package shell

import (
	"context"
	"io"

	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// SetUserMain is setuser.
func SetUserMain() int { return program.Main(NewSetUser) }

// NewSetUser builds setuser.
func NewSetUser(*program.Env) *program.Command {
	examples := []string{
		"setuser -u superuser -p passw0rd",
		"setuser -u superuser --password-file F adduser cimuser cimpass",
	}
	return (&setTool{}).command("setuser",
		"Administer the users of the Copy Services server", examples, userVerbs())
}

func userVerbs() []verb {
	return []verb{
		{name: "adduser", synopsis: "USER PASS", summary: "add a user",
			least: 2, most: 2, secret: 2, twice: true, run: addUser},
		{name: "chuser", synopsis: "USER PASS", summary: "change the password of a user",
			takes: program.KindUser,
			least: 2, most: 2, secret: 2, twice: true, run: changeUser},
		{name: "rmuser", synopsis: "USER", summary: "remove a user",
			takes: program.KindUser,
			least: 1, most: 1, run: removeUser},
		{name: "lsuser", summary: "list the users", run: listUsers},
	}
}

// The text of addUser is to the letter what the original tool says.

func addUser(ctx context.Context, s *connect.Session, args []string) (reply, error) {
	_, err := s.CreateUser(ctx, api.UserChange{Name: args[0], Password: args[1]})
	return told("An entry for user %s successfully added", args[0]), err
}

// changeUser goes on with the new password when the user has changed its own.
func changeUser(ctx context.Context, s *connect.Session, args []string) (reply, error) {
	_, err := s.ChangeUser(ctx, args[0], api.UserChange{Password: args[1]})
	if err == nil && taskstore.Key(args[0]) == taskstore.Key(s.User) {
		s.SetPassword(args[1])
	}
	return told("An entry for user %s successfully changed", args[0]), err
}

func removeUser(ctx context.Context, s *connect.Session, args []string) (reply, error) {
	err := s.DeleteUser(ctx, args[0])
	return told("An entry for user %s successfully removed", args[0]), err
}

func listUsers(ctx context.Context, s *connect.Session, _ []string) (reply, error) {
	users, err := s.Users(ctx)
	doc := userList{append([]api.User{}, users...)}
	return reply{doc: doc, text: func(w io.Writer) { writeUsers(w, users) }}, err
}

// PrintUsers prints what lsuser does.
func PrintUsers(ctx context.Context, e *program.Env, s *connect.Session) error {
	r, err := listUsers(ctx, s, nil)
	if err != nil {
		return err
	}
	return e.Result(r.doc, r.text)
}

// userList is what --json prints for the users.
type userList struct {
	Users []api.User `json:"users"`
}

func writeUsers(w io.Writer, users []api.User) {
	header := []string{"user", "role", "password", "created"}
	rows := make([][]string, len(users))
	for i, u := range users {
		password := "own"
		if u.DefaultPassword {
			password = "default"
		}
		rows[i] = []string{u.Name, string(u.Role), password, program.FormatTime(u.Created)}
	}
	program.WriteTable(w, header, rows)
}
