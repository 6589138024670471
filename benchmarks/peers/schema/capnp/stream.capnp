# What `-> stream` stands for. It comes with Cap'n Proto's C++ library, which the schema compiler alone does not bring.
@0x86c366a91393f3f8;

struct StreamResult @0x995f9a3377c0b16e {}
