// Package rscli has the small commands of the suite: rsList2105s and rsPrimeServer look
// at the disks of a host, rsExecuteTask and rsQueryComplete run a stored task and wait
// for its copy, rsQuery and rsFlashCopyQuery print what volumes take part in, and
// rsTestConnection says whether a server can be reached. Each has a function New... that
// builds it and one whose name ends in Main, which is the whole of a binary and
// returns its exit code.
//
// What they are made of is in the packages below: program is what a command is,
// connect the way to a server, hostdisk the disks of this host. The larger commands
// have packages of their own: esscli, and shell for setdevice and setuser.
package rscli
