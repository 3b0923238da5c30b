// Package writelog takes writes that a volume's files must not get yet.
//
// A write to a track that must be saved first would have to wait for two syncs. Instead
// it is logged: appended, with a checksum, to a file of the volume, from which it is
// destaged together with others. Until then the volume's own files keep what they had,
// so that targets go on reading the image there, and reads of the volume find the
// logged bytes here. What is logged survives the process; a sync makes it durable.
//
// # The file
//
// It has some areas: one takes writes, after which the next one does, while those
// before are destaged (state.go). Each begins with a header, whose length field is the
// generation of the area, followed by records as in a journal, whose payload is the
// offset in the volume and the data. In the place of the generation a record has the
// area's salt, a random number that is new with each generation: the file is full of
// what hosts wrote, and none of that may pass for a record.
//
// An area is emptied by giving it a new generation, once all of it is in the
// volume's files, and synced there if a flush has promised any of it. What a
// process that was killed, or a machine that crashed, left in the areas is
// destaged by the next one, the older generations first. So a flush need not
// destage: it syncs the log, and of the volume's files what is not in
// the log too. It must sync both, since an area that was emptied must not
// come back after a write that went past the log. For the same reason an
// emptied area takes no writes before its header is durable: they would leave
// half of what was there. And no area is emptied before the headers of older
// ones are durable: an older one that came back alone would undo its writes.
//
// The first sync notes in the journal that the file must be there. A file of
// which the journal does not know holds nothing that was promised; if it is
// not whole its making was cut off, and if it is older than the last one it is one
// that was removed, or of a backup.
//
// # The pipeline
//
// One goroutine at a time destages a log (pipeline.go). It takes the areas, the oldest
// first, through the steps save, mark and apply, each area in one step while the next
// one is in the step before. It alone does that. Whoever needs areas empty, because
// there is no room, because a write must not go past what is logged, or because the log
// is closed, raises the generation that is wanted and waits.
//
// A log that is closed stays empty: what would have to be logged waits, other writes and
// all reads go on. A relationship begins only while the logs of its volumes are closed,
// so no area is ever on its way while the targets of a volume change from none to some.
package writelog
