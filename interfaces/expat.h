/* expat.h: expat, a stream parser for XML.
 *
 * Grants: parsing XML that the guest passes, and its handlers being called for what is found. No files,
 * no network: expat opens nothing by itself, and external entities are skipped.
 *
 * Powers of the library's own: memory and time. Worth knowing all the same:
 *  - Native stack: before version 2.7.0 (where CVE-2024-8176 is not patched) expat recurses once for each
 *    entity inside of an entity, some 400 bytes a level: a document of 600 KiB ends a process with a stack
 *    of 8 MiB. Guests choose their documents: have a patched library, or grant this to guests that you trust
 *    not to do it.
 *  - Memory: expat buffers a token until it is complete, and copies what is parsed. Since 2.4.0 it ends
 *    documents whose entities blow up (more than 100 times the input, from 8 MiB on); the functions
 *    that relax this are not granted.
 *
 * A parser is a handle, freed when its store goes. Handlers are the guest's functions; they and their closures
 * live as long as the parser. The first argument of each is what XML_SetUserData set: an integer of the
 * guest, which may be a pointer of its own. Names, texts and attributes that a handler gets are copies,
 * valid until it returns.
 *
 * A handler may ask its parser where it stands, set handlers, and stop it. It cannot parse with, reset or free
 * the parser that called it, which would be a use after free. A handler that traps ends nothing: the later
 * ones are not called, and the trap is raised when XML_Parse has returned.
 *
 * Narrower than expat itself:
 *  - XML_StopParser ends parsing (resumable is 0). Versions before 2.6.4 crash when a parser that
 *    was suspended before it started is resumed, so that XML_ResumeParser is not granted.
 *  - XML_ParserCreate takes an encoding of expat's own, or NULL.
 *
 * Left out:
 *  - XML_UseParserAsHandlerArg: handlers would get a native address instead of the user data.
 *  - XML_SetExternalEntityRefHandler, XML_ExternalEntityParserCreate: parsers of external entities share
 *    memory with the one that they come from, and must be freed in an order that no annotation says.
 *  - XML_SetUnknownEncodingHandler (a struct with a function in it), XML_ParserCreate_MM (allocators),
 *    XML_MemMalloc and its like.
 *  - XML_SetElementDeclHandler: the guest would have to free a native tree.
 *  - XML_DefaultCurrent, XML_GetInputContext: they read where the last event was, of which memory is gone
 *    outside of handlers.
 *  - XML_SetHashSalt, XML_SetBillionLaughs...: they would weaken what protects the host.
 *  - XML_GetFeatureList.
 * The library must be built for UTF-8, as it is everywhere (XML_UNICODE is not defined).
 */
#ifndef PORTCULLIS_EXPAT_H
#define PORTCULLIS_EXPAT_H

#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libexpat.so.1" module "expat"
#endif
PORTCULLIS_MODULE("expat")

typedef struct XML_ParserStruct XML_ParserStruct __drop(XML_ParserFree);
typedef struct XML_ParserStruct *XML_Parser;
typedef char XML_Char;
typedef char XML_LChar;
typedef unsigned char XML_Bool;
typedef long XML_Index;
typedef unsigned long XML_Size;

#define XML_TRUE 1
#define XML_FALSE 0

enum XML_Status { XML_STATUS_ERROR = 0, XML_STATUS_OK = 1, XML_STATUS_SUSPENDED = 2 };

enum XML_Error {
    XML_ERROR_NONE,
    XML_ERROR_NO_MEMORY,
    XML_ERROR_SYNTAX,
    XML_ERROR_NO_ELEMENTS,
    XML_ERROR_INVALID_TOKEN,
    XML_ERROR_UNCLOSED_TOKEN,
    XML_ERROR_PARTIAL_CHAR,
    XML_ERROR_TAG_MISMATCH,
    XML_ERROR_DUPLICATE_ATTRIBUTE,
    XML_ERROR_JUNK_AFTER_DOC_ELEMENT,
    XML_ERROR_PARAM_ENTITY_REF,
    XML_ERROR_UNDEFINED_ENTITY,
    XML_ERROR_RECURSIVE_ENTITY_REF,
    XML_ERROR_ASYNC_ENTITY,
    XML_ERROR_BAD_CHAR_REF,
    XML_ERROR_BINARY_ENTITY_REF,
    XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF,
    XML_ERROR_MISPLACED_XML_PI,
    XML_ERROR_UNKNOWN_ENCODING,
    XML_ERROR_INCORRECT_ENCODING,
    XML_ERROR_UNCLOSED_CDATA_SECTION,
    XML_ERROR_EXTERNAL_ENTITY_HANDLING,
    XML_ERROR_NOT_STANDALONE,
    XML_ERROR_UNEXPECTED_STATE,
    XML_ERROR_ENTITY_DECLARED_IN_PE,
    XML_ERROR_FEATURE_REQUIRES_XML_DTD,
    XML_ERROR_CANT_CHANGE_FEATURE_ONCE_PARSING,
    XML_ERROR_UNBOUND_PREFIX,
    XML_ERROR_UNDECLARING_PREFIX,
    XML_ERROR_INCOMPLETE_PE,
    XML_ERROR_XML_DECL,
    XML_ERROR_TEXT_DECL,
    XML_ERROR_PUBLICID,
    XML_ERROR_SUSPENDED,
    XML_ERROR_NOT_SUSPENDED,
    XML_ERROR_ABORTED,
    XML_ERROR_FINISHED,
    XML_ERROR_SUSPEND_PE,
    XML_ERROR_RESERVED_PREFIX_XML,
    XML_ERROR_RESERVED_PREFIX_XMLNS,
    XML_ERROR_RESERVED_NAMESPACE_URI,
    XML_ERROR_INVALID_ARGUMENT,
    XML_ERROR_NO_BUFFER,
    XML_ERROR_AMPLIFICATION_LIMIT_BREACH
};

enum XML_Parsing { XML_INITIALIZED, XML_PARSING, XML_FINISHED, XML_SUSPENDED };

typedef struct {
    enum XML_Parsing parsing;
    XML_Bool finalBuffer;
} XML_ParsingStatus;

typedef struct {
    int major;
    int minor;
    int micro;
} XML_Expat_Version;

/* Handlers. Attributes are names and values in turn, and NULL after the last. */
typedef void (*XML_StartElementHandler)(void *__cookie userData, const XML_Char *name,
                                        const XML_Char **__null_terminated atts);
typedef void (*XML_EndElementHandler)(void *__cookie userData, const XML_Char *name);
typedef void (*XML_CharacterDataHandler)(void *__cookie userData, const XML_Char *__counted_by(len) s,
                                         int len);
typedef void (*XML_ProcessingInstructionHandler)(void *__cookie userData, const XML_Char *target,
                                                 const XML_Char *data);
typedef void (*XML_CommentHandler)(void *__cookie userData, const XML_Char *data);
typedef void (*XML_StartCdataSectionHandler)(void *__cookie userData);
typedef void (*XML_EndCdataSectionHandler)(void *__cookie userData);
typedef void (*XML_DefaultHandler)(void *__cookie userData, const XML_Char *__counted_by(len) s, int len);
typedef void (*XML_StartNamespaceDeclHandler)(void *__cookie userData, const XML_Char *_Nullable prefix,
                                              const XML_Char *_Nullable uri);
typedef void (*XML_EndNamespaceDeclHandler)(void *__cookie userData, const XML_Char *_Nullable prefix);
typedef void (*XML_XmlDeclHandler)(void *__cookie userData, const XML_Char *_Nullable version,
                                   const XML_Char *_Nullable encoding, int standalone);
typedef void (*XML_StartDoctypeDeclHandler)(void *__cookie userData, const XML_Char *doctypeName,
                                            const XML_Char *_Nullable sysid,
                                            const XML_Char *_Nullable pubid, int has_internal_subset);
typedef void (*XML_EndDoctypeDeclHandler)(void *__cookie userData);
typedef void (*XML_EntityDeclHandler)(void *__cookie userData, const XML_Char *entityName,
                                      int is_parameter_entity,
                                      const XML_Char *__counted_by_or_null(value_length) value,
                                      int value_length, const XML_Char *_Nullable base,
                                      const XML_Char *_Nullable systemId,
                                      const XML_Char *_Nullable publicId,
                                      const XML_Char *_Nullable notationName);
typedef void (*XML_AttlistDeclHandler)(void *__cookie userData, const XML_Char *elname,
                                       const XML_Char *attname, const XML_Char *att_type,
                                       const XML_Char *_Nullable dflt, int isrequired);
typedef void (*XML_NotationDeclHandler)(void *__cookie userData, const XML_Char *notationName,
                                        const XML_Char *_Nullable base,
                                        const XML_Char *_Nullable systemId,
                                        const XML_Char *_Nullable publicId);
typedef void (*XML_SkippedEntityHandler)(void *__cookie userData, const XML_Char *entityName,
                                         int is_parameter_entity);
typedef int (*XML_NotStandaloneHandler)(void *__cookie userData);

/* Parsers. With a separator, names are those of namespaces: URI, separator, name. */
XML_Parser _Nullable XML_ParserCreate(const XML_Char *_Nullable encoding);
XML_Parser _Nullable XML_ParserCreateNS(const XML_Char *_Nullable encoding, XML_Char namespaceSeparator);
XML_Bool XML_ParserReset(struct XML_ParserStruct *__invalidates parser, const XML_Char *_Nullable encoding);
void XML_ParserFree(struct XML_ParserStruct *_Nullable __consumes parser);
enum XML_Status XML_SetEncoding(XML_Parser parser, const XML_Char *_Nullable encoding);

/* What handlers get first; 0 until it is set. */
void XML_SetUserData(XML_Parser parser, void *__cookie userData);

/* Handlers of a parser; 0 takes one away. */
void XML_SetElementHandler(XML_Parser parser, XML_StartElementHandler _Nullable __captured_by(parser) start,
                           XML_EndElementHandler _Nullable __captured_by(parser) end);
void XML_SetStartElementHandler(XML_Parser parser,
                                XML_StartElementHandler _Nullable __captured_by(parser) handler);
void XML_SetEndElementHandler(XML_Parser parser,
                              XML_EndElementHandler _Nullable __captured_by(parser) handler);
void XML_SetCharacterDataHandler(XML_Parser parser,
                                 XML_CharacterDataHandler _Nullable __captured_by(parser) handler);
void XML_SetProcessingInstructionHandler(
    XML_Parser parser, XML_ProcessingInstructionHandler _Nullable __captured_by(parser) handler);
void XML_SetCommentHandler(XML_Parser parser, XML_CommentHandler _Nullable __captured_by(parser) handler);
void XML_SetCdataSectionHandler(XML_Parser parser,
                                XML_StartCdataSectionHandler _Nullable __captured_by(parser) start,
                                XML_EndCdataSectionHandler _Nullable __captured_by(parser) end);
void XML_SetDefaultHandler(XML_Parser parser, XML_DefaultHandler _Nullable __captured_by(parser) handler);
void XML_SetDefaultHandlerExpand(XML_Parser parser,
                                 XML_DefaultHandler _Nullable __captured_by(parser) handler);
void XML_SetNamespaceDeclHandler(XML_Parser parser,
                                 XML_StartNamespaceDeclHandler _Nullable __captured_by(parser) start,
                                 XML_EndNamespaceDeclHandler _Nullable __captured_by(parser) end);
void XML_SetXmlDeclHandler(XML_Parser parser, XML_XmlDeclHandler _Nullable __captured_by(parser) handler);
void XML_SetDoctypeDeclHandler(XML_Parser parser,
                               XML_StartDoctypeDeclHandler _Nullable __captured_by(parser) start,
                               XML_EndDoctypeDeclHandler _Nullable __captured_by(parser) end);
void XML_SetEntityDeclHandler(XML_Parser parser,
                              XML_EntityDeclHandler _Nullable __captured_by(parser) handler);
void XML_SetAttlistDeclHandler(XML_Parser parser,
                               XML_AttlistDeclHandler _Nullable __captured_by(parser) handler);
void XML_SetNotationDeclHandler(XML_Parser parser,
                                XML_NotationDeclHandler _Nullable __captured_by(parser) handler);
void XML_SetSkippedEntityHandler(XML_Parser parser,
                                 XML_SkippedEntityHandler _Nullable __captured_by(parser) handler);
void XML_SetNotStandaloneHandler(XML_Parser parser,
                                 XML_NotStandaloneHandler _Nullable __captured_by(parser) handler);

/* Parsing. The last piece has isFinal set; it may be empty. */
enum XML_Status XML_Parse(struct XML_ParserStruct *__invalidates parser, const char *__counted_by(len) s,
                          int len, int isFinal);
enum XML_Status XML_StopParser(XML_Parser parser, XML_Bool resumable __range(0));
void XML_GetParsingStatus(XML_Parser parser, XML_ParsingStatus *_Out_ status);

/* Where it stands, in handlers and after an error */
enum XML_Error XML_GetErrorCode(XML_Parser parser);
const XML_LChar *_Nullable XML_ErrorString(enum XML_Error code);
XML_Size XML_GetCurrentLineNumber(XML_Parser parser);
XML_Size XML_GetCurrentColumnNumber(XML_Parser parser);
XML_Index XML_GetCurrentByteIndex(XML_Parser parser);
int XML_GetCurrentByteCount(XML_Parser parser);
/* Of the last element's attributes: how many were written out, which is its ID. Both are indexes of atts. */
int XML_GetSpecifiedAttributeCount(XML_Parser parser);
int XML_GetIdAttributeIndex(XML_Parser parser);

/* The library */
const XML_LChar *XML_ExpatVersion(void);
XML_Expat_Version XML_ExpatVersionInfo(void);

PORTCULLIS_END

#endif /* PORTCULLIS_EXPAT_H */
