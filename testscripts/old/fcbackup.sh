#!/bin/sh
#
# fcbackup.sh - FlashCopy of the data volumes, then hand over to the backup host
#
# Usage: fcbackup.sh task
# Called from the operator menu and from cron.  Logs to $LOGDIR/fcbackup.log
#
# 02.04.2003  rh  first version
# 17.11.2003  rh  wait until the copy is complete before the tape job starts
#
PROGDIR=`dirname $0`
. $PROGDIR/ess.conf

LOG=${LOGDIR:-/tmp}/fcbackup.log
TASK=$1

if [ "x$TASK" = "x" ]; then
    echo "usage: fcbackup.sh task" 1>&2
    exit 1
fi

echo "---- $TASK" >> $LOG

rsExecuteTask.sh -s $SERVER -u $U -p $P $TASK >> $LOG 2>&1
if [ $? -ne 0 ]; then
    echo "FlashCopy $TASK failed, see $LOG" 1>&2
    echo "FAILED" >> $LOG
    exit 2
fi

rsQueryComplete.sh -s $SERVER -u $U -p $P $TASK >> $LOG 2>&1
rc=$?
if [ "$rc" != "0" ]; then
    echo "FlashCopy $TASK did not complete (rc=$rc)" 1>&2
    echo "INCOMPLETE" >> $LOG
    exit 3
fi

echo "OK" >> $LOG
exit 0
