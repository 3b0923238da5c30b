# The console of a guest: reads command lines, runs each in a shell of its own
# and tells the driver how it ended. A line that begins with the record separator
# (036) is for the driver: "+" where the output of a command begins, then its exit
# status. $host is the guest's name; $shell is such that a command line fails when
# any part of it does.
while IFS= read -r line; do
	printf '%s# %s\n\036+\n' "$host" "$line"
	$shell -c "$line" </dev/null 2>&1
	printf '\036%s\n' "$?"
done
