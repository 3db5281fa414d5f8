# Install, configure, build, run: the first step that fails stops the test.
# arguments: build, work, source (folders), generator, compiler
function(step)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# A stale prefix would hide a header that is no longer installed.
file(REMOVE_RECURSE ${work}/prefix ${work}/consumer)
step(${CMAKE_COMMAND} --install ${build} --prefix ${work}/prefix)
step(${CMAKE_COMMAND} -G ${generator} -S ${source} -B ${work}/consumer -DCMAKE_PREFIX_PATH=${work}/prefix
     -DCMAKE_CXX_COMPILER=${compiler} -DCMAKE_BUILD_TYPE=Release)
step(${CMAKE_COMMAND} --build ${work}/consumer)
step(${work}/consumer/consumer)
