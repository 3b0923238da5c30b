package core

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// Credentials returns the certificates that were issued to hosts, revoked ones too.
func (c *Core) Credentials(by Caller) ([]taskstore.Credential, error) {
	if err := by.May(ManageCredentials); err != nil {
		return nil, err
	}
	return c.Store.Credentials().List()
}

// Issued is a credential with what its host needs, in PEM.
type Issued struct {
	taskstore.Credential
	Certificate string
	Authority   string // of who signed it, and of the server's certificate
}

// IssueCredential signs a PKCS #10 certificate request in PEM for a host.
func (c *Core) IssueCredential(by Caller, host, request string) (Pending[Issued], error) {
	if err := by.May(ManageCredentials); err != nil {
		return nil, err
	}
	if err := taskstore.ValidHostName(host); err != nil {
		return nil, err
	}
	issued, err := c.Access.Authority.Issue(host, request)
	if err != nil {
		return nil, err
	}
	return func(context.Context) (Issued, error) {
		record := taskstore.Credential{
			Serial: issued.Serial, Host: host, Created: issued.Created, Expires: issued.Expires,
		}
		return Issued{record, issued.PEM, c.Access.Authority.PEM()}, c.Store.Credentials().Create(record)
	}, nil
}

// RevokeCredential keeps the record: who had access, and until when, is worth
// knowing. To revoke again changes nothing.
func (c *Core) RevokeCredential(by Caller, serial string) error {
	if err := by.May(ManageCredentials); err != nil {
		return err
	}
	c.issued.Lock()
	defer c.issued.Unlock()
	record, err := c.Store.Credentials().Get(serial)
	if err != nil {
		return noSuch(err, "esscli list credential shows which there are")
	}
	if record.Revoked.IsZero() {
		record.Revoked = now()
		if err := c.Store.Credentials().Put(record); err != nil {
			return err
		}
	}
	c.Access.Changed()
	return nil
}

// assign is the step that replaces the hosts which may attach a volume. The
// caller tells Access.Changed when all is done.
func (c *Core) assign(volume arrayclient.Serial, hosts []taskstore.HostAccess) step {
	put := func(hosts []taskstore.HostAccess) error {
		if len(hosts) > 0 {
			return c.Store.Assignments().Put(taskstore.Assignment{Volume: volume, Hosts: hosts})
		}
		err := c.Store.Assignments().Delete(string(volume))
		if fault.KindOf(err) == fault.NotFound {
			return nil
		}
		return err
	}
	return func(context.Context) (undo, error) {
		old, err := c.Store.Assignments().Get(string(volume))
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
		return func(context.Context) error { return put(old.Hosts) }, put(hosts)
	}
}
