# run(EXIT_CODE ARGUMENT...): runs the program in an otherwise empty folder; what it printed is in `out`.
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})
function(run expected)
  execute_process(COMMAND ${program} ${ARGN} WORKING_DIRECTORY ${work} RESULT_VARIABLE code OUTPUT_VARIABLE out
                  ERROR_VARIABLE errors)
  if(NOT code STREQUAL expected)
    message(FATAL_ERROR "mpp ${ARGN}: exit code ${code}, expected ${expected}\n${out}${errors}")
  endif()
  set(out "${out}${errors}" PARENT_SCOPE)
endfunction()

function(says part)
  string(FIND "${out}" "${part}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "expected '${part}' in:\n${out}")
  endif()
endfunction()

# is(VALUE KEY...): a value of the JSON that was printed.
function(is expected)
  string(JSON found GET "${out}" ${ARGN})
  if(NOT (found STREQUAL expected OR found EQUAL expected))  # 1 and 1.0
    message(FATAL_ERROR "${ARGN} is ${found}, expected ${expected} in:\n${out}")
  endif()
endfunction()

# rows(FILE HEADER COUNT ROW [COUNT ROW]...)
function(rows file header)
  set(content "${header}")
  while(ARGN)
    list(POP_FRONT ARGN count row)
    string(REPEAT "${row}\n" ${count} block)
    string(APPEND content "${block}")
  endwhile()
  file(WRITE ${work}/${file} "${content}")
endfunction()
