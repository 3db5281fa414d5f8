# mpp audit on made-up losses. arguments: program, work (a folder)
cmake_policy(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)
rows(clean.csv "error_0,signal_0\n" 299 "0.1,2.5")
set(ids --model m --kernel k --estimator e --policy p --workload w)
set(calibrate calibrate clean.csv --epsilon 0.5 --thresholds 2 ${ids})
run(0 ${calibrate} --record first.json --seed 1)
run(0 ${calibrate} --record second.json --seed 2)
rows(good.csv "loss\n" 100 0)
rows(bad.csv "loss\n" 20 1)

# A missing state is an error, not an empty one.
run(2 audit state good.csv --record first.json)
says("state")
run(2 audit state good.csv --record first.json --create)
says("expected recalibrated() first")
if(EXISTS ${work}/state)
  message(FATAL_ERROR "a command that failed wrote a state")
endif()

run(0 audit state good.csv --record first.json --create --open --json)
is(open status)
is(100 audited)
is(0.01 allowed)
run(2 audit state --record first.json --create)
says("is there already")
run(0 audit state good.csv --record first.json --json)
is(200 audited)
run(0 audit state --record first.json)
says("open: the promise of the record stands")
run(2 audit state good.csv --record second.json)
says("--open opens it under the new one")

# The settings are fixed when the state is made.
foreach(option --rate --alpha --mean-time)
  run(2 audit state good.csv --record first.json ${option} 0.5)
  says("${option} requires --create")
endforeach()
run(2 audit state --record first.json --level -1)
says("came -1, expected an integer from 0")

# Input that is wrong changes nothing.
rows(wrong.csv "loss\n" 5 0 1 7)
run(2 audit state wrong.csv --record first.json)
says("row 6: loss is 7, expected 0 or 1")
rows(half.csv "loss\n" 5 0 1 0.5)
run(2 audit state half.csv --record first.json)
says("row 6: loss is 0.5, expected 0 or 1, because the record is of violations")
rows(blank.csv "loss\n" 5 0 1 "" 1 0)
run(2 audit state blank.csv --record first.json)
says("blank.csv, line 7: a blank line")
rows(twice.csv "request,loss\n" 1 "5,0" 1 "6,0" 1 "5,0")
run(2 audit state twice.csv --record first.json)
says("row 3: request 5 comes twice")
run(2 audit state good.csv --record first.json --column error)
says("no column 'error'; there are: loss")
run(0 audit state --record first.json --json)
is(200 audited)

# Violations close the key; it stays closed until a new calibration.
run(3 audit state bad.csv --record first.json --json)
is(closed status)
is(220 audited)
run(3 audit state good.csv --record first.json)
says("alarm: calibrate again")
run(2 audit state --record first.json --open)
says("expected a new calibration")
run(0 audit state good.csv --record second.json --open --json)
is(100 audited)
is(none alarm)

# Commands on one state take turns: none loses what another has added, least of all an alarm. Also through a link.
run(0 audit shared good.csv --record first.json --create --open)
file(CREATE_LINK shared ${work}/linked SYMBOLIC)
file(WRITE ${work}/many.sh "
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  state=shared; test $((i % 2)) -eq 0 || state=linked
  '${program}' audit $state good.csv --record first.json > $i.out & jobs=\"$jobs $!\"
done
for job in $jobs; do wait $job || exit 1; done")
execute_process(COMMAND sh many.sh WORKING_DIRECTORY ${work} COMMAND_ERROR_IS_FATAL ANY)
run(0 audit linked --record first.json --json)
is(1300 audited)
if(NOT IS_SYMLINK ${work}/linked)
  message(FATAL_ERROR "the link became a state of its own")
endif()
file(WRITE ${work}/slow.sh "(until test -e go; do sleep 0.05; done; cat good.csv) |
'${program}' audit shared - --record first.json --json > slow.out & slow=$!
sleep 0.3
'${program}' audit shared bad.csv --record first.json > bad.out; test $? -eq 3 || exit 1
touch go; wait $slow; test $? -eq 3")
execute_process(COMMAND sh slow.sh WORKING_DIRECTORY ${work} COMMAND_ERROR_IS_FATAL ANY)
run(3 audit shared --record first.json --json)
is(1420 audited)

# A coin below 1 needs the numbers of the requests, and takes only those it picked.
rows(numbered.csv "request,loss\n" 1 "0,0" 1 "1,0" 1 "2,0" 1 "3,0" 1 "4,0" 1 "5,0" 1 "6,0" 1 "7,0")
run(2 audit other numbered.csv --record first.json --create --open --rate 1e-9)
says("was not selected")
rows(fraction.csv "request,loss\n" 1 "0.5,0")
run(2 audit other fraction.csv --record first.json --create --open)
says("request is 0.5, expected an integer")

# Under a record of graded losses they are graded here too; with two columns a blank line misses nothing.
rows(low.csv "a\n" 3000 0.001)
run(0 calibrate low.csv --epsilon 0.5 --thresholds 1 --losses a --graded ${ids} --record graded.json)
rows(graded.csv "request,loss\n" 1 "0,0.001" 1 "" 1 "1,0.5")
run(0 audit graded graded.csv --record graded.json --create --open --json)
is(2 audited)
is(0.501 loss)
rows(above.csv "loss\n" 1 1.5)
run(2 audit graded above.csv --record graded.json)
says("loss is 1.5")

file(WRITE ${work}/state "mpp-durable 1 9 00000000\n123456789")
run(2 audit state --record second.json)
says("damaged")
run(2 audit state --record clean.csv)
says("not ours")
run(0 audit --help)
