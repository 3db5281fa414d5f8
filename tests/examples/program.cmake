# What the tests of the programs share. `program` and `work` are theirs.
get_filename_component(name ${program} NAME_WE)
set(json ${work}/${name}.json)
set(page ${work}/${name}.html)

# run(EXIT_CODE ARGUMENT...): what the program says is in `out`.
function(run expected)
  execute_process(COMMAND ${program} ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code STREQUAL expected)
    message(FATAL_ERROR "${name} ${ARGN}: exit code ${code}, expected ${expected}\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

# run_and_read(ARGUMENT...): the JSON that the program wrote is in `result`; there is a report too.
function(run_and_read)
  file(REMOVE ${json} ${page})
  run(0 --repeat 1 --json ${json} --report ${page} ${ARGN})
  if(NOT EXISTS ${page})
    message(FATAL_ERROR "no report in ${page}")
  endif()
  file(READ ${json} result)
  set(result "${result}" PARENT_SCOPE)
endfunction()

function(at_most smaller larger what)
  if(NOT smaller LESS_EQUAL larger)  # also when one of them is not a number
    message(FATAL_ERROR "${what}: ${smaller} is above ${larger}")
  endif()
endfunction()

# spares_other_files(ARGUMENT...): a file that is no report is not overwritten.
function(spares_other_files)
  file(WRITE ${work}/${name}_precious.html "not a report")
  run(2 ${ARGN} --report ${work}/${name}_precious.html)
  file(READ ${work}/${name}_precious.html precious)
  if(NOT precious STREQUAL "not a report")
    message(FATAL_ERROR "a file that is not a report was overwritten")
  endif()
endfunction()
