# Sanitizer flags are PUBLIC: whatever links the core must run under the same ones.
function(fastckpt_sanitizers target)
  if(FASTCKPT_SANITIZE)
    set(flags -fsanitize=${FASTCKPT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_compile_options(${target} PUBLIC ${flags})
    target_link_options(${target} PUBLIC ${flags})
  endif()
endfunction()
