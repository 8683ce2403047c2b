# Warnings for targets of ours only; generated code keeps its own flags.
function(fastckpt_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion)
  if(FASTCKPT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
