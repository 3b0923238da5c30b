#!/usr/bin/perl
#
# flash.pl - wrapper around the Copy Services commands for the scheduler
#
# flash.pl execute TASK...    flash.pl list    flash.pl status SERIAL
#
# Return codes for the scheduler: 0 ok, 4 warning, 8 error

require 5.004;

$dir = $0; $dir =~ s#[^/]*$##; $dir = "./" unless $dir;
open(CONF, "${dir}ess.conf") || die "flash.pl: ess.conf: $!\n";
while (<CONF>) {
    chop;
    s/#.*//;
    $conf{$1} = $2 if /^\s*(\w+)\s*=\s*(\S+)/;
}
close(CONF);
$login = "-s $conf{SERVER} -u $conf{U} -p $conf{P}";

$| = 1;
$what = shift(@ARGV);
if ($what eq "execute") {
    foreach $task (@ARGV) {
        $out = `rsExecuteTask.sh $login $task 2>&1`;
        $rc = $? >> 8;
        foreach $line (split(/\n/, $out)) {
            print "$task: $line\n";
        }
        if ($rc == 10) {
            print "flash.pl: no task $task\n";
            $warn++;
            next;
        }
        exit 8 if $rc;
    }
    exit($warn ? 4 : 0);
} elsif ($what eq "list") {
    open(LS, "rsList2105s.sh |") || die "flash.pl: rsList2105s: $!\n";
    while (<LS>) {
        next if $. <= 2;
        ($disk, $serial) = split;
        $lun{$serial} = $disk;
    }
    close(LS);
    exit 8 if $?;
    foreach $serial (sort keys %lun) {
        printf "%s=%s\n", $serial, $lun{$serial};
    }
} elsif ($what eq "status") {
    @cmd = ("rsFlashCopyQuery.sh", split(/ /, $login), @ARGV);
    open(SAVE, ">&STDERR");
    open(STDERR, ">/dev/null");
    system(@cmd);
    $rc = $?;
    open(STDERR, ">&SAVE");
    if ($rc & 127) {
        print "flash.pl: killed by signal ", $rc & 127, "\n";
        exit 8;
    }
    exit($rc ? 8 : 0);
} else {
    print STDERR "usage: flash.pl execute TASK... | list | status SERIAL\n";
    exit 8;
}
