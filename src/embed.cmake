# embed(TARGET SYMBOL FILE): compiles a file into TARGET as
#     extern const char SYMBOL[]; extern const size_t SYMBOL_size;
# As a script (cmake -P, with SYMBOL, FILE, OUT): writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${FILE} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  get_filename_component(name ${FILE} NAME)
  file(WRITE ${OUT} "/* Made of ${name} by embed.cmake. */
#include <stddef.h>

extern const char ${SYMBOL}[];
extern const size_t ${SYMBOL}_size;

const char ${SYMBOL}[] = {
    ${bytes}0x00};
const size_t ${SYMBOL}_size = ${size};
")
  return()
endif()

set(EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(embed target symbol file)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DSYMBOL=${symbol} -DFILE=${file} -DOUT=${out} -P ${EMBED_SCRIPT}
    DEPENDS ${file} ${EMBED_SCRIPT}
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

# embed_lua(TARGET FOLDER): every .lua file below FOLDER, as policy/embedded.h has them. They are
# compiled by a program of the build: cross builds need CMAKE_CROSSCOMPILING_EMULATOR.
function(embed_lua target folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*.lua)
  list(SORT files)
  list(TRANSFORM files PREPEND ${folder}/ OUTPUT_VARIABLE paths)
  list(TRANSFORM files REPLACE "\\.lua$" "" OUTPUT_VARIABLE names)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded/lua.c)
  add_executable(embed_lua policy/embed/embed.c)
  target_link_libraries(embed_lua PRIVATE PkgConfig::LUA)
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/embedded)
  add_custom_command(OUTPUT ${out}
    COMMAND embed_lua ${out} ${folder} ${names}
    DEPENDS embed_lua ${paths}
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
