# Grammars: fetched by npm (pinned by hash in package-lock.json), compiled here without their own build
# scripts. A new language is one name in GRAMMARS and one dependency in package.json.
GRAMMARS      := python
GRAMMAR_STAMP := $(BUILD)/grammars/.fetched
grammar_dir    = $(BUILD)/grammars/node_modules/tree-sitter-$(1)

$(GRAMMAR_STAMP): grammars/package.json grammars/package-lock.json
	$(say) NPM grammars
	$(Q)mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && npm ci --ignore-scripts --omit=optional --omit=peer --no-audit --no-fund --loglevel=error >npm.log 2>&1 || { cat npm.log; exit 1; }
	$(Q)touch $@

# A grammar may have a scanner of its own; both files are other people's code, compiled without our warnings.
$(BUILD)/grammars/%.o: $(GRAMMAR_STAMP)
	$(say) CC grammar $*
	$(Q)d=$(call grammar_dir,$*)/src; { echo '#include "parser.c"'; test ! -f $$d/scanner.c || echo '#include "scanner.c"'; } > $(@D)/$*.c
	$(Q)$(CC) -std=gnu11 -w -O2 -g -fPIE -I$(call grammar_dir,$*)/src -c -o $@ $(@D)/$*.c

# The grammars' own tags queries, embedded under the names "<language>/tags.scm".
$(BUILD)/grammars/queries.c: $(BUILD)/embed $(GRAMMAR_STAMP)
	$(Q)rm -rf $(@D)/queries && for g in $(GRAMMARS); do mkdir -p $(@D)/queries/$$g && cp $(call grammar_dir,$$g)/queries/*.scm $(@D)/queries/$$g/; done
	$(Q)$(BUILD)/embed $(@D)/queries | sed 's/template_table/grammar_query_table/g' > $@
$(BUILD)/grammars/queries.o: $(BUILD)/grammars/queries.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/grammars.a: $(foreach g,$(GRAMMARS),$(BUILD)/grammars/$g.o) $(BUILD)/grammars/queries.o
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^
