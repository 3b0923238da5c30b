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
	issued, err := c.Issuer.Issue(host, request)
	if err != nil {
		return nil, err
	}
	return func(context.Context) (Issued, error) {
		record := taskstore.Credential{
			Serial: issued.Serial, Host: host, Created: issued.Created, Expires: issued.Expires,
		}
		return Issued{record, issued.PEM, c.Issuer.PEM()}, c.Store.Credentials().Create(record)
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
	c.Reassigned()
	return nil
}

// Credential returns the record of a certificate that is good. One without a
// record is not: of its issue nobody was told.
func (c *Core) Credential(serial string) (taskstore.Credential, error) {
	record, err := c.Store.Credentials().Get(serial)
	if err != nil {
		return record, fault.New(fault.Denied, "the credential %s is not known", serial)
	}
	if !record.Revoked.IsZero() {
		return record, fault.New(fault.Denied, "the credential %s of host %s was revoked", serial, record.Host)
	}
	return record, nil
}

// HostAccess tells what the owner of a credential may do with a volume; ok is false
// where that is nothing.
func (c *Core) HostAccess(
	credential string, volume arrayclient.Serial,
) (access taskstore.HostAccess, ok bool) {
	record, err := c.Credential(credential)
	if err != nil {
		return access, false
	}
	a, err := c.Store.Assignments().Get(string(volume))
	if err != nil {
		return access, false
	}
	return a.Access(record.Host)
}

// assign is the step that replaces the hosts which may attach a volume. The
// caller tells Reassigned when all is done.
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
