// Reads an Atom feed with the expat of the host, piece by piece.
//
// The header is the interface that the host grants. The file is opened by this program, through WASI: expat
// opens nothing.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expat.h"

#define ATOM "http://www.w3.org/2005/Atom|"

enum { PIECE = 512, EXIT_USAGE = 2 };

struct text {
    char bytes[256];
    size_t size;
};

// What handlers share: their first argument points here.
struct feed {
    XML_Parser parser;
    int depth, entries, elements, attributes, comments, sections, namespaces;
    struct text text; // since the last tag
    struct text title, author, terms, content;
    char date[11];
    long enclosure;
    int line; // of the entry
    int content_depth; // 0 outside of it
};

static void append(struct text *text, const char *bytes, size_t n)
{
    size_t room = sizeof text->bytes - 1 - text->size;
    n = n < room ? n : room;
    memcpy(text->bytes + text->size, bytes, n);
    text->size += n;
    text->bytes[text->size] = '\0';
}

static void clear(struct text *text)
{
    text->size = 0;
    text->bytes[0] = '\0';
}

// Attributes are names and values in turn.
static const char *attribute(const char **atts, const char *name)
{
    for (; *atts != NULL; atts += 2)
        if (strcmp(atts[0], name) == 0)
            return atts[1];
    return "";
}

static void start_element(void *data, const XML_Char *name, const XML_Char **atts)
{
    struct feed *feed = data;
    feed->depth++;
    feed->elements++;
    feed->attributes += XML_GetSpecifiedAttributeCount(feed->parser) / 2;
    clear(&feed->text);
    if (strcmp(name, ATOM "entry") == 0) {
        feed->line = (int)XML_GetCurrentLineNumber(feed->parser);
        feed->enclosure = 0;
        clear(&feed->terms);
    } else if (strcmp(name, ATOM "category") == 0) {
        append(&feed->terms, " #", 2);
        const char *term = attribute(atts, "term");
        append(&feed->terms, term, strlen(term));
    } else if (strcmp(name, ATOM "link") == 0 && strcmp(attribute(atts, "rel"), "enclosure") == 0) {
        feed->enclosure = strtol(attribute(atts, "length"), NULL, 10);
    } else if (strcmp(name, ATOM "content") == 0) {
        feed->content_depth = feed->depth;
        clear(&feed->content);
    }
}

static void end_element(void *data, const XML_Char *name)
{
    struct feed *feed = data;
    if (strcmp(name, ATOM "title") == 0) {
        feed->title = feed->text;
        if (feed->depth == 2)
            printf("\"%s\"\n", feed->title.bytes);
    } else if (strcmp(name, ATOM "rights") == 0) {
        printf("%s\n", feed->text.bytes);
    } else if (strcmp(name, ATOM "name") == 0) {
        feed->author = feed->text;
    } else if (strcmp(name, ATOM "updated") == 0) {
        snprintf(feed->date, sizeof feed->date, "%.10s", feed->text.bytes);
    } else if (feed->depth == feed->content_depth) {
        feed->content_depth = 0;
    } else if (strcmp(name, ATOM "entry") == 0) {
        feed->entries++;
        printf("%3d %s %s (%s)%s", feed->line, feed->date, feed->title.bytes, feed->author.bytes, feed->terms.bytes);
        if (feed->enclosure > 0)
            printf(", %ld bytes", feed->enclosure);
        printf("\n    %s\n", feed->content.bytes);
    }
    clear(&feed->text);
    feed->depth--;
}

// A text comes in as many pieces as expat likes: entities and line breaks are some of their own.
static void characters(void *data, const XML_Char *s, int len)
{
    struct feed *feed = data;
    append(&feed->text, s, (size_t)len);
    // Without the white space between tags.
    if (feed->content_depth > 0 && (int)strspn(feed->text.bytes, " \n") < (int)feed->text.size)
        append(&feed->content, s, (size_t)len);
}

static void comment_found(void *data, const XML_Char *comment)
{
    (void)comment;
    ((struct feed *)data)->comments++;
}

static void section_found(void *data)
{
    ((struct feed *)data)->sections++;
}

static void instruction_found(void *data, const XML_Char *target, const XML_Char *rest)
{
    (void)data;
    printf("instruction %s: %s\n", target, rest);
}

static void namespace_found(void *data, const XML_Char *prefix, const XML_Char *uri)
{
    (void)prefix, (void)uri;
    ((struct feed *)data)->namespaces++;
}

static void entity_declared(void *data, const XML_Char *name, int is_parameter, const XML_Char *value, int size,
                       const XML_Char *base, const XML_Char *system, const XML_Char *public,
                       const XML_Char *notation)
{
    (void)data, (void)is_parameter, (void)base, (void)system, (void)public, (void)notation;
    if (value != NULL)
        printf("entity %s: %.*s\n", name, size, value);
}

static void xml_declared(void *data, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    (void)data, (void)standalone;
    printf("XML %s in %s\n", version != NULL ? version : "?", encoding != NULL ? encoding : "?");
}

static void tell_error(XML_Parser parser)
{
    enum XML_Error code = XML_GetErrorCode(parser);
    printf("line %lu, column %lu: %s (%d)\n", XML_GetCurrentLineNumber(parser),
           XML_GetCurrentColumnNumber(parser), XML_ErrorString(code), code);
}

static XML_Parser parser_for(struct feed *feed)
{
    XML_Parser parser = XML_ParserCreateNS(NULL, '|');
    if (parser == NULL) {
        fprintf(stderr, "feed: no memory for a parser\n");
        exit(EXIT_FAILURE);
    }
    memset(feed, 0, sizeof *feed);
    feed->parser = parser;
    XML_SetUserData(parser, feed);
    return parser;
}

static int read_feed(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "feed: %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    struct feed feed;
    XML_Parser parser = parser_for(&feed);
    XML_SetElementHandler(parser, start_element, end_element);
    XML_SetCharacterDataHandler(parser, characters);
    XML_SetCommentHandler(parser, comment_found);
    XML_SetCdataSectionHandler(parser, section_found, NULL);
    XML_SetProcessingInstructionHandler(parser, instruction_found);
    XML_SetNamespaceDeclHandler(parser, namespace_found, NULL);
    XML_SetEntityDeclHandler(parser, entity_declared);
    XML_SetXmlDeclHandler(parser, xml_declared);

    char piece[PIECE];
    size_t n;
    int status = EXIT_SUCCESS;
    do {
        n = fread(piece, 1, sizeof piece, file);
        if (XML_Parse(parser, piece, (int)n, n < sizeof piece) != XML_STATUS_OK) {
            tell_error(parser);
            status = EXIT_FAILURE;
            break;
        }
    } while (n == sizeof piece);
    printf("%d entries; %d elements with %d attributes in %d namespaces, %d comment, %d CDATA sections\n",
           feed.entries, feed.elements, feed.attributes, feed.namespaces, feed.comments, feed.sections);
    XML_ParserFree(parser);
    fclose(file);
    return status;
}

static void parse(const char *text)
{
    struct feed feed;
    XML_Parser parser = parser_for(&feed);
    XML_SetElementHandler(parser, start_element, end_element);
    if (XML_Parse(parser, text, (int)strlen(text), XML_TRUE) != XML_STATUS_OK)
        tell_error(parser);
    XML_ParserFree(parser);
}

// Stops at the second element, and changes handlers on the way.
static void stop_at_two(void *data, const XML_Char *name, const XML_Char **atts)
{
    (void)atts;
    struct feed *feed = data;
    printf("started %s\n", name);
    XML_SetEndElementHandler(feed->parser, NULL);
    if (++feed->elements == 2)
        XML_StopParser(feed->parser, XML_FALSE);
}

static void stop(void)
{
    static const char text[] = "<a><b/><c/></a>";
    struct feed feed;
    XML_Parser parser = parser_for(&feed);
    XML_SetElementHandler(parser, stop_at_two, end_element);
    if (XML_Parse(parser, text, sizeof text - 1, XML_TRUE) != XML_STATUS_OK)
        tell_error(parser);
    XML_ParsingStatus status;
    XML_GetParsingStatus(parser, &status);
    printf("finished: %s\n", status.parsing == XML_FINISHED ? "yes" : "no");
    XML_ParserFree(parser);
}

// Entities inside of entities, a thousand million times "ha" from a few lines: expat refuses.
static void laugh(void)
{
    char text[2048] = "<!DOCTYPE l [<!ENTITY l0 \"hahahahahahahahahahahahahahahaha\">";
    for (int i = 1; i < 9; i++) {
        char line[128];
        snprintf(line, sizeof line, "<!ENTITY l%d \"&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;\">", i, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        strcat(text, line);
    }
    strcat(text, "]><l>&l8;</l>");
    struct feed feed;
    XML_Parser parser = parser_for(&feed);
    if (XML_Parse(parser, text, (int)strlen(text), XML_TRUE) != XML_STATUS_OK)
        printf("a billion laughs: %s\n", XML_ErrorString(XML_GetErrorCode(parser)));
    XML_ParserFree(parser);
}

// wasm-ld runs constructors before and destructors after every function that a program exports, unless the
// program itself calls the constructors. The host calls malloc while the file is open: destructors would make stdio
// give back what it has read ahead.
#ifdef __wasm__
void __wasm_call_ctors(void);
#else
static void __wasm_call_ctors(void)
{
}
#endif

int main(int argc, char **argv)
{
    __wasm_call_ctors();
    if (argc != 2) {
        fprintf(stderr, "usage: feed FILE\n");
        return EXIT_USAGE;
    }
    int status = read_feed(argv[1]);
    parse("<feed>\n  <entry></feed>");
    parse("<feed>&nothing;</feed>");
    parse("");
    stop();
    laugh();
    exit(status); // flushes
}
