package filearray

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Rehearse holds pairs against the rules of an act; see arrayclient.Rehearser.
func (a *Array) Rehearse(
	_ context.Context, act arrayclient.Act, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if err := a.errClosed(); err != nil {
		return err
	}
	if act == arrayclient.ActEstablish {
		_, err := a.plan(pairs, opts)
		return err
	}
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return err
	}
	switch act {
	case arrayclient.ActWithdraw:
		return nil
	case arrayclient.ActResync:
		_, err = a.nextRecords(rels, refreshed)
	case arrayclient.ActReverse:
		_, err = a.nextRecords(rels, reversed)
	case arrayclient.ActBackgroundCopy:
		err = a.copyable(rels)
	case arrayclient.ActConsistencyCreated:
		err = consistent(rels)
	default:
		err = fault.New(fault.Usage, "%q is no act of an array", act)
	}
	return err
}
