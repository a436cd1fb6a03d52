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

# embed_table(TARGET SYMBOL FOLDER): every .lua file below FOLDER, and the table of them that
# policy/embedded.h declares as SYMBOL.
function(embed_table target symbol folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*.lua)
  list(SORT files)
  set(declarations "")
  set(rows "")
  foreach(file IN LISTS files)
    string(REGEX REPLACE "\\.lua$" "" name "${file}")
    string(MAKE_C_IDENTIFIER "${symbol}_${name}" one)
    embed(${target} ${one} ${folder}/${file})
    string(APPEND declarations "extern const char ${one}[];\nextern const size_t ${one}_size;\n")
    string(APPEND rows "    {\"${name}\", ${one}, &${one}_size},\n")
  endforeach()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.c)
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT "/* Made by embed.cmake. */
#include \"policy/embedded.h\"

${declarations}
const struct embedded ${symbol}[] = {
${rows}    {NULL, NULL, NULL}};
")
  target_sources(${target} PRIVATE ${out})
endfunction()
